# SPDX-License-Identifier: Apache-2.0
"""The keys of signatures, as PEM files: the private one that signs, and those that are trusted.

ECDSA on the curves P-256, P-384 and P-521, each with the SHA-2 of its size, as ``model-signing`` has them.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.store.signing.bundle import Bundle, signed_bytes
from tfs_deploy.store.signing.certificates import require_chain, subject_of, validity_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: the environment variable with the passphrase of an encrypted private key
PASSPHRASE: Final = "TFS_DEPLOY_KEY_PASSPHRASE"  # noqa: S105 - a name
_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_MAKE_KEY: Final = "make one: openssl ecparam -name prime256v1 -genkey -noout -out sign.pem"
_PUBLIC_OF: Final = "openssl ec -in sign.pem -pubout -out trusted.pem"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Whose signature it is: the hint of the key (sha256 of its PEM text, hex), and whom a certificate names."""

    key: str
    subject: str | None = None

    def __str__(self) -> str:
        return f"key {self.key[:16]}" + (f" of {self.subject}" if self.subject else "")

    def as_dict(self) -> dict[str, str | None]:
        """Return plain values for JSON."""
        return {"name": str(self), "key": self.key, "subject": self.subject}


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key, and the certificates that say whose it is, the key's own first."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    def sign(self, payload: bytes) -> Bundle:
        """Return the signature over a payload."""
        # The same files get the same signature (RFC 6979), so that an upload that was cut off is resumed.
        scheme = ec.ECDSA(_HASHES[self.key.curve.name], deterministic_signing=True)
        signature = self.key.sign(signed_bytes(payload), scheme)
        if self.chain:
            return Bundle(payload, signature, chain=tuple(each.public_bytes(Encoding.DER) for each in self.chain))
        return Bundle(payload, signature, hint=hint_of(self.key.public_key()))

    @property
    def by(self) -> SignedBy:
        """Whose signature it makes."""
        subject = subject_of(self.chain[0]) if self.chain else None
        return SignedBy(hint_of(self.key.public_key()), subject)


@dataclass(frozen=True, slots=True)
class Trust:
    """Public keys by their hint, and certificates, all of which are trusted."""

    keys: dict[str, ec.EllipticCurvePublicKey]
    certificates: tuple[x509.Certificate, ...] = ()

    def require(self, bundle: Bundle, now: datetime | None = None) -> SignedBy:
        """Return whose signature it is; ``ValueError`` says why it is not one of those trusted.

        ``now``: when certificates have to be valid.
        """
        key, by = self._signed_by(bundle, now or datetime.now(timezone.utc))
        try:
            key.verify(bundle.signature, signed_bytes(bundle.payload), ec.ECDSA(_HASHES[key.curve.name]))
        except InvalidSignature:
            raise ValueError(f"the signature is not one of {by} over this content") from None
        return by

    def _signed_by(self, bundle: Bundle, now: datetime) -> tuple[ec.EllipticCurvePublicKey, SignedBy]:
        if not bundle.chain:
            hint = bundle.hint or ""
            if hint not in self.keys:
                raise ValueError(f"it is signed by key {hint[:16]}, but {self._named()}")
            return self.keys[hint], SignedBy(hint)
        chain = [_certificate(der) for der in bundle.chain]
        key, by = signer_of(chain[0])
        if by.key not in self.keys:
            if not self.certificates:
                raise ValueError(f"it is signed by {by}, but {self._named()}")
            require_chain(chain, self.certificates, now)
        return key, by

    def _named(self) -> str:
        names = [f"key {hint[:16]}" for hint in self.keys] + [subject_of(each) for each in self.certificates]
        return f"only {' and '.join(names)} {'is' if len(names) == 1 else 'are'} trusted"


def signer_of(certificate: x509.Certificate) -> tuple[ec.EllipticCurvePublicKey, SignedBy]:
    """Return the key that a certificate certifies, and whose it is; ``ValueError`` if it is not an ECDSA key."""
    key = _curve_key(certificate.public_key())
    return key, SignedBy(hint_of(key), subject_of(certificate))


def claimed_by(bundle: Bundle) -> SignedBy:
    """Return whose signature it says that it is, which proves nothing."""
    return signer_of(_certificate(bundle.chain[0]))[1] if bundle.chain else SignedBy(bundle.hint or "")


def hint_of(key: ec.EllipticCurvePublicKey) -> str:
    """Return the name of a public key: sha256 (hex) of its PEM text."""
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def load_signer(path: str | Path, certificates: str | Path | None = None) -> Signer:
    """Read a private key, and its certificate chain.

    Raises:
        UsageError: a file does not exist, is not PEM, is of another kind, belongs to another key or is not valid now;
            or the passphrase (environment variable ``TFS_DEPLOY_KEY_PASSPHRASE``) is missing or wrong.
        EnvironmentFault: a file cannot be read.
    """
    data = _read(Path(path), "signing key")
    if b"PRIVATE KEY-----" not in data:
        raise UsageError(f"{path} holds no private key", hint=_MAKE_KEY)
    passphrase = os.environ.get(PASSPHRASE) if b"ENCRYPTED" in data else None
    if b"ENCRYPTED" in data and not passphrase:
        raise UsageError(f"the key {path} is encrypted", hint=f"set the environment variable {PASSPHRASE}")
    try:
        key = load_pem_private_key(data, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if passphrase:
            raise UsageError(
                f"the key {path} cannot be decrypted: the passphrase is wrong, or the file is damaged",
                hint=f"the passphrase is taken from the environment variable {PASSPHRASE}",
            ) from error
        raise UsageError(f"{path} is not a valid private key", hint=_MAKE_KEY) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise UsageError(f"{path} is not an ECDSA key of the curve P-256, P-384 or P-521", hint=_MAKE_KEY)
    return Signer(key, () if certificates is None else _own_chain(Path(certificates), key, Path(path)))


def load_trust(paths: Iterable[str | Path], now: datetime | None = None) -> Trust:
    """Read the PEM files whose keys and certificates are trusted; ``now``: see ``load_trusted``."""
    keys: dict[str, ec.EllipticCurvePublicKey] = {}
    certificates: list[x509.Certificate] = []
    for path in paths:
        found = load_trusted(path, now)
        keys |= found.keys
        certificates += found.certificates
    return Trust(keys, tuple(certificates))


def load_trusted(path: str | Path, now: datetime | None = None) -> Trust:
    """Read one file of trusted keys: a public key, or certificates, which are trusted with what they issued.

    An expired certificate is read: with two in force, the signatures of the other are still to be accepted.

    Raises:
        UsageError: it does not exist, is not PEM, or holds something else, such as the private key or several keys; or
            ``now`` is given, and a certificate is not valid then.
        EnvironmentFault: it cannot be read.
    """
    file = Path(path)
    data = _read(file, "trusted key")
    if b"PRIVATE KEY-----" in data:
        raise UsageError(f"{file} holds a private key, which only the signer should have", hint=_PUBLIC_OF)
    kinds = data.count(b"-----BEGIN PUBLIC KEY-----") + (b"-----BEGIN CERTIFICATE-----" in data)
    if kinds > 1:
        raise UsageError(f"{file} holds several keys", hint="one file a key, each with a line of its own under trust")
    try:
        if b"-----BEGIN CERTIFICATE-----" in data:
            certificates = x509.load_pem_x509_certificates(data)
            for certificate in certificates:
                signer_of(certificate)
                problem = None if now is None else validity_problem(certificate, now)
                if problem:
                    raise UsageError(f"{file} is not valid now: {problem}", hint="trust its successor too")
            return Trust({}, tuple(certificates))
        key = _curve_key(load_pem_public_key(data))
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = error if isinstance(error, _KeyKindError) else "it is not a public key or certificate in PEM"
        raise UsageError(f"{file} is not a valid trusted key: {reason}", hint=_PUBLIC_OF) from error
    return Trust({hint_of(key): key})


class _KeyKindError(ValueError):
    """A key of another algorithm or curve."""


def _curve_key(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise _KeyKindError("its key is not an ECDSA key of the curve P-256, P-384 or P-521")
    return key


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise ValueError("it holds a damaged certificate") from error


def _own_chain(path: Path, key: ec.EllipticCurvePrivateKey, key_path: Path) -> tuple[x509.Certificate, ...]:
    data = _read(path, "certificate chain")
    try:
        chain: Sequence[x509.Certificate] = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        hint = "PEM, the certificate of the signing key first, then those that issued it"
        raise UsageError(f"{path} is not a certificate chain", hint=hint) from error
    if chain[0].public_key() != key.public_key():
        raise UsageError(
            f"the first certificate of {path} ({subject_of(chain[0])}) is not that of the key {key_path}",
            hint="the certificate of the signing key comes first in the chain",
        )
    for certificate in chain:
        problem = validity_problem(certificate, datetime.now(timezone.utc))
        if problem:
            raise UsageError(f"{path} cannot be used: {problem}", hint="have the certificate renewed")
    return tuple(chain)


def _read(path: Path, what: str) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError as error:
        raise UsageError(f"the {what} {path} does not exist", hint=_MAKE_KEY) from error
    except OSError as error:
        raise EnvironmentFault(f"the {what} {path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
