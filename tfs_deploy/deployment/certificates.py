# SPDX-License-Identifier: Apache-2.0
"""The PEM files that the section ``ssl`` of a deployment file names."""

from __future__ import annotations

import contextlib
import ssl
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.host.regular_file import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Ssl

#: the keys of the section that name files
PEM_KEYS: Final = ("key", "cert", "ca", "client_key", "client_cert")


def check_ssl(section: Ssl) -> Iterator[tuple[str, str]]:
    """Yield (key of the section, what is wrong with its file).

    A file that is missing or not PEM, a key of another certificate, a certificate that is not valid now, and one that
    the server would not take from the toolkit's own commands.
    """
    problems = list(_file_problems(section)) or list(_pair_problems(section))
    yield from problems
    if not problems and section.client_verify and section.ca is not None:
        yield from _refused_client(section)


def _pair_problems(section: Ssl) -> Iterator[tuple[str, str]]:
    yield from _pair_problem("key", section.key, section.cert)
    yield from _validity_problem("cert", section.cert)
    if section.client_key is not None and section.client_cert is not None:
        yield from _pair_problem("client_key", section.client_key, section.client_cert)
        yield from _validity_problem("client_cert", section.client_cert)
    if section.ca is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(section.ca)
        except ssl.SSLError as error:
            yield "ca", f"{section.ca} holds no usable certificate: {error.reason or error}"


def _pair_problem(name: str, key: Path, cert: Path) -> Iterator[tuple[str, str]]:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield name, f"{key} is not the key of {cert}"
        else:
            yield name, f"{key} and {cert} cannot be used: {error.reason or error}"
    except _EncryptedError:
        yield name, f"{key} is encrypted: the server cannot ask for a password"


def _validity_problem(name: str, cert: Path) -> Iterator[tuple[str, str]]:
    begin, end = validity(cert)
    if end <= time.time():
        yield name, f"{cert} expired on {_day(end)}"
    elif begin > time.time():
        yield name, f"{cert} is not valid before {_day(begin)}"


def validity(cert: Path) -> tuple[float, float]:
    """Return from when and until when the first certificate in a PEM file is valid, in Unix time."""
    found = decode_certificate(cert)
    return ssl.cert_time_to_seconds(found["notBefore"]), ssl.cert_time_to_seconds(found["notAfter"])


def decode_certificate(cert: Path) -> Mapping[str, Any]:
    """Return the first certificate in a PEM file as ``SSLSocket.getpeercert`` does."""
    # The only reader of certificates in the standard library; ssl itself uses it for the peer's.
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]  # noqa: SLF001
    found: Mapping[str, Any] = decode(str(cert))
    return found


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _refused_client(section: Ssl) -> Iterator[tuple[str, str]]:
    """Let a server with ``ca`` judge the certificate that the toolkit presents: by a handshake in memory."""
    own = section.client_cert is None or section.client_key is None
    cert, key = (section.cert, section.key) if own else (section.client_cert, section.client_key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(section.cert, section.key)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(section.ca)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.load_cert_chain(cert, key)  # type: ignore[arg-type] # neither is None: mypy loses the pair
    try:
        _handshake(server, client)
    except ssl.SSLCertVerificationError as error:
        if own:
            remedy = "name a pair for them that it signed: ssl.client_key and ssl.client_cert"
            message = f"{section.ca} did not sign {cert}, which up, status and rollouts present: {remedy}"
            yield "client_verify", f"{message} ({error.verify_message})"
        else:
            yield "client_cert", f"{cert} is not accepted by {section.ca}: {error.verify_message}"


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [server.wrap_bio(there, back, server_side=True), client.wrap_bio(back, there)]
    for _ in range(6):
        for side in sides:
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()


def _file_problems(section: Ssl) -> Iterator[tuple[str, str]]:
    for key in PEM_KEYS:
        path = getattr(section, key)
        if path is None:
            continue
        what = "PRIVATE KEY" if key.endswith("key") else "CERTIFICATE"
        try:
            text = read_pem(path, key)
        except UsageError as error:
            yield key, error.message
            continue
        if f"{what}-----" not in text:
            yield key, f"{path} holds no PEM block with a {what.lower()}"


class _EncryptedError(Exception):
    """The private key asks for a password."""


def _no_password() -> str:
    raise _EncryptedError


def read_pem(path: Path, key: str) -> str:
    """Return the text of the PEM file that ``ssl.KEY`` names; ``UsageError`` if it cannot be read.

    Text around the blocks, such as the name of who is certified, belongs to many PEM files.
    """
    try:
        return read_regular(path).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=f"ssl.{key} names a PEM file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a PEM file", hint=f"ssl.{key} names a PEM file") from error
