"""The PEM files that the section ``ssl`` of a deployment file names."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Ssl


def check_ssl(section: Ssl) -> Iterator[tuple[str, str]]:
    """Yield (key of the section, what is wrong with its file): missing, not PEM, a key of another certificate."""
    problems = list(_file_problems(section))
    yield from problems
    if problems:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(section.cert, section.key, password=_no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            yield "key", f"{section.key} is not the key of {section.cert}"
        else:
            yield "key", f"{section.key} and {section.cert} cannot be used: {error.reason or error}"
    except _EncryptedError:
        yield "key", f"{section.key} is encrypted: the server cannot ask for a password"
    if section.ca is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(section.ca)
        except ssl.SSLError as error:
            yield "ca", f"{section.ca} holds no usable certificate: {error.reason or error}"


def _file_problems(section: Ssl) -> Iterator[tuple[str, str]]:
    wanted = {"key": (section.key, "PRIVATE KEY"), "cert": (section.cert, "CERTIFICATE")}
    if section.ca is not None:
        wanted["ca"] = (section.ca, "CERTIFICATE")
    for key, (path, what) in wanted.items():
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
    """Return the text of the PEM file that ``ssl.KEY`` names; ``UsageError`` if it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=f"ssl.{key} names a PEM file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a PEM file", hint=f"ssl.{key} names a PEM file") from error
