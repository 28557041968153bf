"""How a command reaches a server that wants TLS, a token or headers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tfs_deploy.errors import UsageError, file_hint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.client.options import Options

TOKEN_VARIABLE: Final = "TFS_DEPLOY_TOKEN"  # noqa: S105 - the name of a variable
_HEADER: Final = re.compile(r"\s*([^\s:=]+)\s*[:=](.*)", re.DOTALL)
_FILE: Final = click.Path(path_type=Path)

CONNECTION: Final = (
    click.option("--tls", is_flag=True, help="Use TLS, with the authorities that the system trusts."),
    click.option("--ca", type=_FILE, metavar="FILE", help="Use TLS, and trust the authorities in this PEM file."),
    click.option("--cert", type=_FILE, metavar="FILE", help="Use TLS with this client certificate (PEM); needs --key."),
    click.option("--key", type=_FILE, metavar="FILE", help="Private key of --cert (PEM)."),
    click.option("--server-name", metavar="NAME", help="Name in the server's certificate, if ADDRESS has another."),
    click.option(
        "--token",
        envvar=TOKEN_VARIABLE,
        metavar="TOKEN",
        help=f"Bearer token, or @FILE with it; others can see a command line.  [env: {TOKEN_VARIABLE}]",
    ),
    click.option(
        "--header", "-H", "headers", multiple=True, metavar="NAME=VALUE", help="Header to send; may be repeated."
    ),
)


def client_options(
    *,
    tls: bool,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    server_name: str | None,
    token: str | None,
    headers: Iterable[str],
) -> Options:
    """Return the options of a client for the values of ``CONNECTION``.

    Raises:
        UsageError: a header is not valid, the token's file cannot be read, or a certificate has no key.
    """
    from tfs_deploy.client import Tls

    options: Options = {"headers": dict(map(_header, headers))}
    if tls or any(value is not None for value in (ca, cert, key, server_name)):
        options["tls"] = Tls(ca=ca, certificate=cert, key=key, name=server_name)
    if token is not None:
        options["token"] = _token(token)
    return options


def _header(text: str) -> tuple[str, str]:
    match = _HEADER.fullmatch(text)
    if match is None:
        raise UsageError(f"not a valid header: {text!r}", hint="write NAME=VALUE, for example -H x-team=vision")
    return match[1], match[2].strip()


def _token(text: str) -> str:
    """Return the token, out of its file for ``@FILE``."""
    found = text.strip()
    if text.startswith("@"):
        try:
            found = Path(text[1:]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason, hint = (error.strerror, file_hint(error)) if isinstance(error, OSError) else ("not text", None)
            raise UsageError(f"the token's file {text[1:]} cannot be read: {reason}", hint=hint) from error
    if not found:
        raise UsageError("the token is empty", hint=f"give --token TOKEN, --token @FILE, or set {TOKEN_VARIABLE}")
    return found
