"""TLS and mTLS: PEM files as gRPC credentials or as an SSL context."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificates of a TLS connection.

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
        """Return ``grpc.ChannelCredentials``; ``EnvironmentFault`` for a file that cannot be read."""
        import grpc

        return grpc.ssl_channel_credentials(_read(self.ca), _read(self.key), _read(self.certificate))

    def context(self) -> ssl.SSLContext:
        """Return the SSL context for HTTP; ``EnvironmentFault`` for a file that cannot be used."""
        for path in (self.ca, self.certificate, self.key):
            _read(path)
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.certificate is not None and self.key is not None:
                context.load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            raise EnvironmentFault(f"the TLS files cannot be used: {error}", hint="give files in PEM format") from error
        return context


def _read(path: str | os.PathLike[str] | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
