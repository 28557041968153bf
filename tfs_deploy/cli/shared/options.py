# SPDX-License-Identifier: Apache-2.0
"""Options that commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import deployment_file, directory, paths
from tfs_deploy.cli.shared.output import Output
from tfs_deploy.errors import UsageError, file_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfs_deploy.client.options import Options
    from tfs_deploy.store.signing.keys import Signer

F = TypeVar("F", bound="Callable[..., Any]")

TOKEN_VARIABLE: Final = "TFS_DEPLOY_TOKEN"  # noqa: S105 - the name of a variable
_HEADER: Final = re.compile(r"\s*([^\s:=]+)\s*[:=](.*)", re.DOTALL)
_NUMBER: Final = re.compile(r"[0-9]+")
_FILE: Final = click.Path(path_type=Path)
_PEM: Final = paths(".pem", ".crt", ".cer", ".key")


def _choose(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click calls it
    if value and parameter.name is not None and (output := context.find_object(Output)) is not None:
        output.choose(parameter.name)


#: for every command, and before its name as well
COMMON: Final = tuple(
    option(name, *more, is_flag=True, is_eager=True, expose_value=False, callback=_choose, help=text)
    for name, *more, text in (
        ("--json", "as_json", "Print one JSON document on stdout."),
        ("--quiet", "-q", "Print errors only."),
        ("--no-color", "Print without colors."),
        ("--no-pager", "Print long text at once instead of page by page."),
    )
)


def common(function: F) -> Callable[..., Any]:
    """Add the options of every command, and pass the command its ``Output`` as first argument."""
    passed: Callable[..., Any] = click.pass_obj(function)
    return all_of(COMMON)(passed)


def all_of(decorators: Iterable[Callable[[Any], Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return one decorator that adds several options, in the order in which ``--help`` lists them."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(tuple(decorators)):
            function = decorator(function)
        return function

    return decorate


def parse_tags(text: str) -> tuple[str, ...]:
    """Return the tags of ``--tags A,B``; no text is the meta graph without tags."""
    return tuple(tag.strip() for tag in text.split(",") if tag.strip())


#: the argument FILE of commands about a deployment
DEPLOYMENT_FILE: Final = click.argument("file", type=click.Path(path_type=Path), shell_complete=deployment_file)
#: for commands that act on the server of a deployment
ANY_SERVER: Final = option(
    "--any-server", is_flag=True, help="Act on whatever server answers on the ports of FILE, not only on its own."
)


def _use_op_libraries(_context: click.Context, _parameter: click.Parameter, paths: tuple[Path, ...]) -> None:
    if paths:
        from tfs_deploy.savedmodel.graph.op_libraries import use_op_libraries

        use_op_libraries(paths)


#: shared libraries with custom ops, for this command and all that it starts
op_libraries_option = option(
    "--load-op-library",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE.so",
    shell_complete=paths(".so"),
    expose_value=False,
    callback=_use_op_libraries,
    help="Shared library with custom ops to load first; may be repeated.",
)


#: the deployment file and options of ``up`` and ``restart``
BRING_UP: Final = (
    DEPLOYMENT_FILE,
    option(
        "--timeout",
        type=click.FloatRange(min=1.0),
        default=120.0,
        show_default=True,
        metavar="SECONDS",
        help="Time to wait for every version to become available, in seconds.",
    ),
    option("--allow-latest", is_flag=True, help="Allow mutable image tags."),
    option("--ignore-memory", is_flag=True, help="Start even if the models may not fit into memory."),
)
#: where ``export`` writes
TO_BASE: Final = option(
    "--to",
    "base_path",
    required=True,
    metavar="BASE",
    shell_complete=directory,
    help="Base path: the directory of the numbered versions.",
)
#: where ``publish`` writes
TO_PLACE: Final = option(
    "--to",
    "base_path",
    required=True,
    metavar="BASE|PLACE",
    shell_complete=directory,
    help="Base path, the directory of the numbered versions, or a place in a store: s3://BUCKET/PREFIX, gs://, az://, "
    "oci://REGISTRY/REPOSITORY.",
)
#: how many versions ``export`` and ``publish`` keep, and which they never remove
RETENTION: Final = (
    option(
        "--keep",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of versions to keep; older ones are removed.  [default: all]",
    ),
    option(
        "--deployment",
        "deployments",
        multiple=True,
        metavar="FILE",
        shell_complete=deployment_file,
        help="Deployment file whose versions are never removed; may be repeated.  [default: all files found nearby]",
    ),
)
#: how a command reaches a server that wants TLS, a token or headers; see ``client_options``
CONNECTION: Final = (
    option("--tls", is_flag=True, help="Use TLS, with the authorities that the system trusts."),
    option(
        "--ca",
        type=_FILE,
        metavar="FILE",
        shell_complete=_PEM,
        help="Use TLS, and trust the authorities in this PEM file.",
    ),
    option(
        "--cert",
        type=_FILE,
        metavar="FILE",
        shell_complete=_PEM,
        help="Use TLS with this client certificate (PEM); needs --key.",
    ),
    option("--key", type=_FILE, metavar="FILE", shell_complete=_PEM, help="Private key of --cert (PEM)."),
    option("--server-name", metavar="NAME", help="Name in the server's certificate, if ADDRESS has another."),
    option(
        "--token",
        envvar=TOKEN_VARIABLE,
        metavar="TOKEN",
        help=f"Bearer token, or @FILE with it; others can see a command line.  [env: {TOKEN_VARIABLE}]",
    ),
    option("--header", "-H", "headers", multiple=True, metavar="NAME=VALUE", help="Header to send; may be repeated."),
)


def base_paths(pairs: Iterable[str]) -> dict[str, str]:
    """Return the beginnings of base paths that ``--base-path-map`` replaces, and what with."""
    found = {}
    for pair in pairs:
        old, given, new = pair.partition("=")
        if not given or not old or not new.startswith("/"):
            raise click.BadParameter(f"{pair!r} is not OLD=NEW with an absolute NEW.", param_hint="--base-path-map")
        found[old] = new
    return found


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


def parse_version(text: str | None) -> int | str | None:
    """Return the number that ``--version`` asks for, ``timestamp``, or ``None``."""
    if text is None or text == "timestamp":
        return text
    if _NUMBER.fullmatch(text) is None:
        raise UsageError(f"not a valid --version: {text}", hint="give a number, or timestamp")
    return int(text)


CERTIFICATE: Final = option(
    "--certificate",
    metavar="CHAIN",
    type=_FILE,
    shell_complete=_PEM,
    help="With --sign: PEM file with the certificate of the key, and those above it.",
)


def sign_option(what: str) -> Callable[[F], F]:
    """Return the option ``--sign``, which says what it signs."""
    return option(
        "--sign",
        metavar="KEY",
        type=_FILE,
        shell_complete=_PEM,
        help=f"Sign {what} with this private key, a PEM file (passphrase: TFS_DEPLOY_KEY_PASSPHRASE).",
    )


TRUST: Final = option(
    "--trust",
    metavar="KEY",
    type=_FILE,
    multiple=True,
    shell_complete=_PEM,
    help="Check that this key signed the version: a PEM file, a public key or a certificate; may be repeated.  "
    "[default: `trust` of FILE]",
)


def make_signer(sign: Path | None, certificate: Path | None) -> Signer | None:
    """Return what signs, ``None`` if nothing is to be signed; raises ``UsageError`` before anything takes time."""
    from tfs_deploy.store.signing.sign import open_signer

    if sign is None:
        if certificate is not None:
            raise click.UsageError("--certificate needs --sign.")
        return None
    return open_signer(sign, certificate)
