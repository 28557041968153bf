# SPDX-License-Identifier: Apache-2.0
"""Files that are replaced whole: a reader sees the old text or the new one, also after a crash."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, file_hint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: names of files that are being written, see ``_stage``
_TEMPORARY: Final = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
_NO_SYNC: Final = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})

#: seconds for which a reader may hold up the replacement of its file, and between two attempts
_PATIENCE: Final = 2.0
_POLL: Final = 0.01


def write_atomic(path: Path, text: str) -> None:
    """Replace one file; makes its directory. ``EnvironmentFault`` with the old file untouched if that fails."""
    write_files(path.parent, {path.name: text})


def write_files(directory: Path, texts: Mapping[str, str], *, modes: Mapping[str, int] | None = None) -> list[Path]:
    """Replace several files of one directory: all are written and synced before the first takes its name.

    Files are readable by all users unless ``modes`` names other permission bits; a file that root replaces keeps its
    owner, who may be the one user that a server runs as.

    The temporary names lie in the same directory, since a rename is atomic within one file system only, and a mounted
    *directory* shows a renamed file where a mounted file does not.
    """
    staged: list[tuple[Path, Path]] = []
    try:
        make_directory(directory)
        for name, text in texts.items():
            staged.append((_stage(directory, name, text, (modes or {}).get(name, 0o644)), directory / name))
        while staged:
            temporary, path = staged[0]
            _replace(temporary, path)
            staged.pop(0)
        sync_directory(directory)
    except OSError as error:
        raise EnvironmentFault(f"cannot write to {directory}: {error.strerror}", hint=file_hint(error)) from error
    finally:
        for temporary, _ in staged:
            with contextlib.suppress(OSError):
                temporary.unlink()
    return [directory / name for name in texts]


def remove_leftovers(directory: Path) -> None:
    """Remove what a process that was killed left half-written; the caller knows that no process writes there now."""
    with contextlib.suppress(OSError):
        for path in directory.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink(missing_ok=True)


def require_room(directory: Path, names: Iterable[str]) -> None:
    """Make a directory and see that these files can be written there, before work whose result they take.

    Raises ``EnvironmentFault`` if they cannot.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if (directory / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{name} is a directory")
            _stage(directory, name, "", 0o644).unlink()
    except OSError as error:
        raise EnvironmentFault(f"cannot write to {directory}: {error.strerror}", hint=file_hint(error)) from error


def _replace(temporary: Path, path: Path) -> None:
    """Give a file its name; on Windows that has to wait until no process reads the file that has it."""
    if sys.platform == "win32":
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(PermissionError):
                temporary.replace(path)
                return
            time.sleep(_POLL)
    temporary.replace(path)


def _stage(directory: Path, name: str, text: str, mode: int) -> Path:
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=directory)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if hasattr(os, "fchmod"):
                # mkstemp makes files that only their owner can read; a server may run as another user
                os.fchmod(file.fileno(), mode)
            _keep_owner(file.fileno(), directory / name)
            os.fsync(file.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Path(temporary)


def _keep_owner(descriptor: int, replaced: Path) -> None:
    if sys.platform == "win32" or not hasattr(os, "fchown") or os.geteuid() != 0:
        return
    with contextlib.suppress(FileNotFoundError):
        before = replaced.stat()
        os.fchown(descriptor, before.st_uid, before.st_gid)


def make_directory(directory: Path) -> None:
    """Make a directory and those above it that are missing; each is on the disk, under its name, when this returns."""
    if directory.is_dir():
        return
    if not directory.parent.exists():
        make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(PermissionError):  # a directory that may be written to need not be readable
        sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Wait until the disk has the names in a directory, where the file system can tell."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no directories
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network and shared file systems cannot sync a directory
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)
