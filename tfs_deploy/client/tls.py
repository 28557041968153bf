# SPDX-License-Identifier: Apache-2.0
"""TLS and mTLS: PEM files as gRPC credentials or as an SSL context."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.host.pem import (
    CERTIFICATE,
    ENCRYPTED_KEY,
    PRIVATE_KEY,
    decode_certificate,
    is_der,
    is_encrypted,
    pem_blocks,
)
from tfs_deploy.host.regular_file import read_regular

if TYPE_CHECKING:
    import os

_LOG = logging.getLogger(__name__)
#: seconds (14 days) before the end of a certificate from which on a log line says so
_SOON: Final = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificates of a TLS connection, each in a file in PEM form.

    A client certificate that has expired is refused; one that will within 14 days is logged as a warning.

    Attributes:
        ca: file with the certificates of the trusted authorities; ``None`` = gRPC's own list, or the system's.
        certificate: file with the client's certificate chain, for servers that require one (mTLS).
        key: file with the private key of ``certificate``.
        name: the name in the server's certificate, if it differs from the host in the address.
    """

    ca: str | os.PathLike[str] | None = None
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError("a client certificate needs its key", hint="give both certificate and key, or neither")

    def credentials(self) -> Any:
        """Return ``grpc.ChannelCredentials``; ``EnvironmentFault`` for a file that cannot be used.

        gRPC reads the certificates when it connects, so a damaged one is an error of the first call.
        """
        import grpc

        ca, certificate, key = self._read(whole=False)
        if certificate is not None and key is not None:
            self._load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key, whole=False)
        return grpc.ssl_channel_credentials(
            *(None if text is None else text.encode("ascii") for text in (ca, key, certificate))
        )

    def context(self) -> ssl.SSLContext:
        """Return the SSL context for HTTP; ``EnvironmentFault`` for a file that cannot be used."""
        ca, certificate, key = self._read(whole=True)
        context = ssl.create_default_context(cadata=ca)
        if certificate is not None and key is not None:
            self._load_pair(context, certificate, key, whole=True)
        return context

    def _read(self, *, whole: bool) -> tuple[str | None, str | None, str | None]:
        """Return the PEM text of the authorities, the client's chain and its key; ``whole``: refuse damaged ones."""
        ca = None if self.ca is None else _blocks(self.ca, CERTIFICATE)
        if ca is not None:
            _check_authorities(self.ca, "".join(ca), whole=whole)
        if self.certificate is None or self.key is None:
            return None if ca is None else "".join(ca), None, None
        chain = _blocks(self.certificate, CERTIFICATE)
        _check_dates(self.certificate, chain[0], whole=whole)
        key = _blocks(self.key, PRIVATE_KEY)
        return None if ca is None else "".join(ca), "".join(chain), "".join(key)

    def _load_pair(self, context: ssl.SSLContext, certificate: str, key: str, *, whole: bool) -> None:
        """Load the client's chain and key into a context, which takes files only."""
        with tempfile.TemporaryDirectory(prefix="tfs-deploy-tls-") as folder:
            paths = Path(folder) / "certificate.pem", Path(folder) / "key.pem"
            for path, text in zip(paths, (certificate, key), strict=True):
                path.write_text(text, encoding="ascii")
            try:
                context.load_cert_chain(*paths)
            except ssl.SSLError as error:
                if error.reason == "KEY_VALUES_MISMATCH":
                    message = f"{self.key} is not the key of {self.certificate}"
                    raise EnvironmentFault(message, hint="give the certificate and key that belong together") from error
                if not whole:
                    return
                message = f"{self.certificate} and {self.key} cannot be used: {error.reason or error}"
                raise EnvironmentFault(message, hint=f"openssl x509 -in {self.certificate} -text shows it") from error


def _blocks(path: str | os.PathLike[str], kind: str) -> list[str]:
    """Return the PEM blocks of a kind in a file; ``EnvironmentFault`` if there are none, with what is there instead."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    what = kind.lower()
    if kind == PRIVATE_KEY and is_encrypted(data):
        hint = f"openssl pkey -in {path} -out PLAIN.pem writes it without"
        raise EnvironmentFault(f"the private key {path} needs a password", hint=hint)
    found = pem_blocks(data, kind)
    if found:
        return found
    if is_der(data):
        tool = "x509" if kind == CERTIFICATE else "pkey"
        hint = f"openssl {tool} -inform der -in {path} -out {Path(path).stem}.pem"
        raise EnvironmentFault(f"{path} is in DER form, not PEM", hint=hint)
    other = CERTIFICATE if kind == PRIVATE_KEY else PRIVATE_KEY
    if pem_blocks(data, other) or pem_blocks(data, ENCRYPTED_KEY):
        message = f"{path} holds a {other.lower()}, not a {what}"
        raise EnvironmentFault(message, hint="check which file is which")
    raise EnvironmentFault(f"{path} holds no {what} in PEM form", hint=f"it has to have a line -----BEGIN {kind}-----")


def _check_authorities(path: object, text: str, *, whole: bool) -> None:
    """Raise ``EnvironmentFault`` for authorities that cannot be read, or have all expired."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=text)
    except ssl.SSLError as error:
        if not whole:
            return
        message = f"a certificate in {path} cannot be read: {error.reason or error}"
        raise EnvironmentFault(message, hint="is the file whole? copy it again") from error
    ends = [ssl.cert_time_to_seconds(str(each["notAfter"])) for each in context.get_ca_certs()]
    if ends and max(ends) < time.time():
        message = f"the authorities in {path} have expired, the last one on {_day(max(ends))}"
        raise EnvironmentFault(message, hint="give the certificate of the authority that the server's is from now")
    if ends and max(ends) < time.time() + _SOON:
        _LOG.warning("the authorities in %s expire on %s: replace them", path, _day(max(ends)))


def _check_dates(path: object, block: str, *, whole: bool) -> None:
    """Raise ``EnvironmentFault`` for a client certificate that is not valid now; log one that will not be soon."""
    try:
        certificate = decode_certificate(block)
    except ssl.SSLError as error:
        if not whole:
            return
        # an SSLError of the decoder has no reason
        message = f"the certificate in {path} cannot be read: {error.args[-1]}"
        raise EnvironmentFault(message, hint="is the file whole? copy it again") from error
    now = time.time()
    begins, ends = (ssl.cert_time_to_seconds(str(certificate[key])) for key in ("notBefore", "notAfter"))
    if ends < now:
        message = f"the client certificate {path} expired on {_day(ends)}"
        raise EnvironmentFault(message, hint="renew it; the server refuses it")
    if begins > now:
        message = f"the client certificate {path} is valid from {_day(begins)} on"
        raise EnvironmentFault(message, hint="is the clock of this machine right? (date)")
    if ends < now + _SOON:
        _LOG.warning("the client certificate %s expires on %s: renew it", path, _day(ends))


def _day(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
