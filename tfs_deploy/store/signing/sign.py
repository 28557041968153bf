# SPDX-License-Identifier: Apache-2.0
"""Signing: a version, a verdict, and taking a verdict into the version that it is about."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.atomic import write_files
from tfs_deploy.extras import require_extra
from tfs_deploy.savedmodel import layout
from tfs_deploy.store.signing.bundle import Statement, write_bundle, write_statement
from tfs_deploy.store.signing.hashes import hash_files
from tfs_deploy.store.verdict import FILE_NAME

if TYPE_CHECKING:
    from tfs_deploy.store.signing.keys import Signer

#: the signature beside a verdict in the folder that ``verify --report`` writes
SIGNATURE_NAME = "verdict.sig.json"


def open_signer(key: str | os.PathLike[str], certificates: str | os.PathLike[str] | None = None) -> Signer:
    """Read the key that signs, and its certificate chain; raises what ``keys.load_signer`` raises.

    Raises:
        MissingExtraError: ``cryptography`` is not installed.
    """
    require_extra("cryptography", "signing")
    from tfs_deploy.store.signing.keys import load_signer

    return load_signer(Path(key), None if certificates is None else Path(certificates))


def sign_version(version_dir: Path, signer: Signer, name: str) -> Path:
    """Write the signature over all files of a version into it, and return its path.

    Args:
        version_dir: must not be visible to a server yet.
        signer: the key.
        name: what the signature calls the model; readers do not judge it.
    """
    sums = hash_files(version_dir, left_out=layout.ATTESTATIONS)
    statement = Statement(name, sums, layout.ATTESTATIONS)
    return _write(version_dir / layout.SIGNATURE, statement, signer)


def sign_verdict(folder: Path, signer: Signer) -> Path:
    """Write the signature over ``verdict.json`` of a folder beside it, and return its path."""
    return _write(folder / SIGNATURE_NAME, _about_verdict((folder / FILE_NAME).read_bytes()), signer)


def take_verdict(verdict: str | os.PathLike[str], version_dir: Path, signer: Signer | None = None) -> None:
    """Copy a verdict into the version that it is about, with its signature; one without is signed if a key is given.

    Args:
        verdict: the file, or its folder, as ``require_verdict`` takes it.
        version_dir: must not be visible to a server yet.
        signer: the key.
    """
    file = Path(verdict)
    file = file / FILE_NAME if file.is_dir() else file
    target = version_dir / layout.VERDICT
    target.parent.mkdir(exist_ok=True)
    data = file.read_bytes()
    target.write_bytes(data)
    signature, copied = file.with_name(SIGNATURE_NAME), version_dir / layout.VERDICT_SIGNATURE
    copied.unlink(missing_ok=True)
    if signature.is_file():
        copied.write_bytes(signature.read_bytes())
    elif signer is not None:
        _write(copied, _about_verdict(data), signer)


def _about_verdict(data: bytes) -> Statement:
    return Statement("verdict", {FILE_NAME: hashlib.sha256(data).hexdigest()})


def _write(path: Path, statement: Statement, signer: Signer) -> Path:
    text = write_bundle(signer.sign(write_statement(statement)))
    (written,) = write_files(path.parent, {path.name: text})
    return written
