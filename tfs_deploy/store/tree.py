# SPDX-License-Identifier: Apache-2.0
"""Copying the tree of a model as plain files: what lies outside of it is not taken in by a link.

A link leads wherever its maker liked; a copy that follows it would publish a key or a password file of whoever copies.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint


def copy_tree(
    source: Path,
    target: Path,
    *,
    left_out: Collection[str] = (),
    copy: Callable[[Path, Path], Any] | None = None,
) -> int:
    """Copy the files below ``source`` into ``target``, which may exist, and return their size in bytes.

    Links inside the tree are copied as what they point to. Permissions are those of new files: an artefact store may
    have removed the right to write or to read.

    Args:
        source: a directory, or a link to one.
        target: where to.
        left_out: paths below ``source`` that are not copied.
        copy: copies one file, ``shutil.copyfile`` by default.

    Raises:
        UsageError: a link leads out of ``source``, or something is neither a file nor a directory.
        EnvironmentFault: something cannot be read.
        OSError: ``target`` cannot be written.
    """
    size = 0
    target.mkdir(exist_ok=True)
    for path, real in tree(source, left_out=left_out):
        if real.is_dir():
            (target / path).mkdir(exist_ok=True)
        else:
            _require_readable(real)
            (copy or shutil.copyfile)(real, target / path)
            size += (target / path).stat().st_size
    return size


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file a hard link to another, or a copy of it where that does not work: for ``copy_tree``."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def check_tree(source: Path) -> None:
    """Raise ``UsageError`` for what ``copy_tree`` would not copy."""
    for _ in tree(source):
        pass


def tree(
    source: Path, *, left_out: Collection[str] = (), path: Path = Path(), linked: bool = False
) -> Iterator[tuple[Path, Path]]:
    """Yield each directory and file below ``source / path``, as a path below ``source`` and where it really lies.

    Raises what ``copy_tree`` raises for it. ``linked``: a link to a directory led here, so that another one would be a
    loop, or a few links a million files.
    """
    root = source.resolve()
    try:
        entries = sorted(os.scandir(source / path), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(error) from error
    for entry in entries:
        below = path / entry.name
        if below.as_posix() in left_out:
            continue
        real = Path(os.path.realpath(entry.path))
        if not real.is_relative_to(root):
            raise UsageError(
                f"{entry.path} is a link that leads out of {source}, to {real}",
                hint=f"to publish what it leads to, copy it first: cp -rL {source} COPY",
            )
        if real.is_file():
            yield below, real
        elif real.is_dir() and not (entry.is_symlink() and linked):
            yield below, real
            yield from tree(source, left_out=left_out, path=below, linked=linked or entry.is_symlink())
        elif real.is_dir():
            hint = "put the directory in the place of the link"
            raise UsageError(f"{entry.path} is a link to a directory below another such link", hint=hint)
        else:
            raise UsageError(f"{entry.path} is not a regular file", hint="a version holds files and directories only")


def _require_readable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> EnvironmentFault:
    return EnvironmentFault(f"{error.filename} cannot be read: {error.strerror}", hint=file_hint(error))
