# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that sign."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.store.signing.keys import Signer

F = TypeVar("F", bound="Callable[..., Any]")

_PEM: Final = paths(".pem", ".crt", ".cer", ".key")
_FILE: Final = click.Path(path_type=Path)

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
    help="Check that this key signed the version: a PEM file, a public key or a certificate; may be repeated.",
)


def make_signer(sign: Path | None, certificate: Path | None) -> Signer | None:
    """Return what signs, ``None`` if nothing is to be signed; raises ``UsageError`` before anything takes time."""
    from tfs_deploy.store.signing.sign import open_signer

    if sign is None:
        if certificate is not None:
            raise click.UsageError("--certificate needs --sign.")
        return None
    return open_signer(sign, certificate)
