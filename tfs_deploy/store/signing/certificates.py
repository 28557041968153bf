# SPDX-License-Identifier: Apache-2.0
"""The way from a signing certificate to a trusted one (RFC 5280, section 6, without name constraints and policies).

``model-signing`` judges a chain at the moment when its first certificate became valid, so that none ever expires. No
signature holds a time that others vouch for: here the moment is now, and an expired certificate is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

#: critical extensions that are judged here, or that limit nothing which matters for a signature
_KNOWN: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_WEAK: Final = frozenset({"md5", "sha1"})


def subject_of(certificate: x509.Certificate) -> str:
    """Return whom a certificate names, as one line."""
    return certificate.subject.rfc4514_string() or f"serial number {certificate.serial_number:x}"


def validity_problem(certificate: x509.Certificate, now: datetime) -> str | None:
    """Return why a certificate is not valid at a moment, ``None`` if it is."""
    if certificate.not_valid_after_utc < now:
        return f"the certificate {subject_of(certificate)} expired on {_day(certificate.not_valid_after_utc)}"
    if certificate.not_valid_before_utc > now:
        return f"the certificate {subject_of(certificate)} is not valid before {_day(certificate.not_valid_before_utc)}"
    return None


def require_chain(chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime) -> None:
    """Raise ``ValueError`` unless the first certificate of a chain may sign and leads to one of the anchors."""
    leaf, *rest = chain
    _require_signer(leaf)
    current, above = leaf, 0
    while current not in anchors:
        _require_valid(current, now)
        issuer = next((each for each in (*anchors, *rest) if each != current and _issued(each, current)), None)
        if issuer is None:
            raise ValueError(f"no trusted certificate issued {subject_of(current)}")
        _require_issuer(issuer, above)
        if issuer not in anchors:
            rest.remove(issuer)
        above += issuer.subject != issuer.issuer
        current = issuer
    _require_valid(current, now)


def _require_valid(certificate: x509.Certificate, now: datetime) -> None:
    problem = validity_problem(certificate, now)
    if problem:
        raise ValueError(problem)
    try:
        extensions = certificate.extensions
    except ValueError as error:
        raise ValueError(f"the certificate {subject_of(certificate)} is damaged: {error}") from error
    for extension in extensions:
        if extension.critical and extension.oid not in _KNOWN:
            oid = extension.oid.dotted_string
            raise ValueError(f"the certificate {subject_of(certificate)} has the unknown critical extension {oid}")


def _require_signer(leaf: x509.Certificate) -> None:
    """Raise unless a certificate is for signatures: by its key usage, or for code by the extended one."""
    usage = _extension(leaf, x509.KeyUsage)
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if not (usage and usage.digital_signature) and not (extended and ExtendedKeyUsageOID.CODE_SIGNING in extended):
        raise ValueError(f"the certificate {subject_of(leaf)} is not for signing (keyUsage digitalSignature)")


def _require_issuer(issuer: x509.Certificate, below: int) -> None:
    """Raise unless a certificate may issue others; ``below``: how many other issuers lie between it and the signer."""
    basic, usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        raise ValueError(f"the certificate {subject_of(issuer)} is not one of an authority")
    if basic.path_length is not None and basic.path_length < below:
        raise ValueError(f"the certificate {subject_of(issuer)} allows {basic.path_length} authorities below it")


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except ValueError as error:
        raise ValueError(f"the certificate {subject_of(certificate)} is damaged: {error}") from error


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        algorithm = certificate.signature_hash_algorithm
        if algorithm is not None and algorithm.name in _WEAK:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")
