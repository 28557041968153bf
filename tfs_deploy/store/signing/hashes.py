# SPDX-License-Identifier: Apache-2.0
"""The sums that a signature is about: of every file of a version, each read once."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import VerdictError, file_hint
from tfs_deploy.host.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_CHUNK: Final = 1 << 20


def hash_files(folder: Path, *, left_out: Collection[str] = ()) -> dict[str, str]:
    """Return POSIX path -> sha256 (hex) of every file below a directory, but those left out.

    Raises:
        VerdictError: there is a link below it (what it leads to could change unseen), or what is neither file nor
            directory, or a file cannot be read.
    """
    return {name: _sha256(folder, name) for name in sorted(_names(folder)) if name not in left_out}


def _names(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder, onerror=_refuse):
        for name in (*folders, *names):
            path = Path(place, name)
            if path.is_symlink():
                raise VerdictError(
                    f"{path} is a link, and a signature is about files only",
                    hint=f"cp -rL {folder} COPY, then sign the copy",
                )
        yield from (Path(place, name).relative_to(folder).as_posix() for name in names)


def _sha256(folder: Path, name: str) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(folder / name) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        _refuse(error)
    return digest.hexdigest()


def _refuse(error: OSError) -> None:
    raise VerdictError(f"{error.filename} cannot be read: {error.strerror}", hint=file_hint(error)) from error
