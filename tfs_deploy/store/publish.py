# SPDX-License-Identifier: Apache-2.0
"""Publish a version: stage it beside its target, sync it, and make it visible under its number by one rename.

A server lists the base path once a second and takes every child whose name is an integer for a version, so a version
must become visible complete or not at all (file_system_storage_path_source.cc). Hence:

- files are written to a staging directory in the base path whose name is not an integer and names its owner;
- every file and directory is synced, then the directory is renamed to its number without replacing anything, then the
  base path is synced. A kill at any instant leaves a staging directory at worst;
- a publisher that finds its number taken uses the next one: numbers are distinct and have no gaps;
- every publisher first removes the staging directories whose owner is gone.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.atomic import make_directory, sync_directory
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.host.posix import posix_module
from tfs_deploy.savedmodel.versions import VersionDir, list_versions, next_version
from tfs_deploy.store import owner
from tfs_deploy.store.base_path import check_base_path, check_version
from tfs_deploy.store.parallel import in_parallel
from tfs_deploy.store.rename import rename_new

if TYPE_CHECKING:
    from collections.abc import Iterator

_INT64_MAX: Final = 2**63 - 1
_NO_LOCKS: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class Stage:
    """A staging directory to fill (``path``), then ``publish`` once."""

    def __init__(self, base_path: Path, path: Path) -> None:
        self.base_path = base_path
        self.path = path

    def sync(self) -> None:
        """Sync what is there so far, so that ``publish`` only waits for the rest."""
        with translate_os_errors(self.base_path):
            sync_tree(self.path)

    def publish(self, version: int | str | None = None) -> VersionDir:
        """Sync the directory and rename it to its version.

        ``version``: ``None`` = the number after the highest, ``"timestamp"`` = seconds since the epoch (or the next
        free number after), or a number. Raises ``UsageError`` if that number exists.
        """
        wanted = check_version(version)
        with translate_os_errors(self.base_path):
            sync_tree(self.path)
            with lock_base_path(self.base_path):
                published = _rename_to_version(self.path, self.base_path, wanted)
                sync_directory(self.base_path)
        return published


@contextlib.contextmanager
def stage(base_path: str | os.PathLike[str]) -> Iterator[Stage]:
    """Yield a staging directory under ``base_path`` (created if missing); it is removed unless published.

    Raises ``UsageError`` for a base path that cannot hold versions and ``EnvironmentFault`` if the disk is full or
    the directory cannot be written.
    """
    base = check_base_path(base_path)
    with translate_os_errors(base):
        made = _missing_directories(base)
        try:
            folder = _make_staging_directory(base)
        except BaseException:
            _remove_empty(made)
            raise
    try:
        yield Stage(base, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(made)


def remove_abandoned(base: Path) -> list[Path]:
    """Remove the staging directories whose owner is gone, and return them."""
    me = owner.current()
    removed = []
    for child in base.iterdir():
        who = owner.parse(child.name)
        if who is not None and owner.is_dead(who, me, _newest_change(child)):
            shutil.rmtree(child, ignore_errors=True)
            removed.append(child)
    return removed


@contextlib.contextmanager
def lock_base_path(base: Path) -> Iterator[None]:
    """Hold the lock of a base path against other threads, processes and (where flock works) machines.

    The lock is on the directory itself: nothing is left behind, and the kernel releases it when its holder dies.
    Publishing is safe without it; it keeps publishers from racing for one number and from pruning at the same time.
    """
    fcntl = posix_module("fcntl", "writing a version directory")
    handle = os.open(base, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def translate_os_errors(base: Path) -> Iterator[None]:
    """Translate errors of the file system under ``base`` to ones that say what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else str(base)
        if error.errno in _FULL:
            raise EnvironmentFault(
                f"no space left on the disk of {base}", hint="free some space; nothing was left behind", retriable=True
            ) from error
        if error.errno in _DENIED:
            raise EnvironmentFault(
                f"{where} cannot be written: {error.strerror}",
                hint=f"make {base} writable for this user, or export elsewhere",
            ) from error
        raise EnvironmentFault(
            f"{where}: {error.strerror or error}", hint=f"check the file system of {base}, or export elsewhere"
        ) from error


def sync_tree(folder: Path) -> None:
    """Sync everything below ``folder`` to disk before it becomes visible.

    The order among files does not matter, since none is visible yet: several at once share the flushes of the disk.
    (``syncfs`` would be as safe, but also waits for whatever other programs have written to that file system.)
    """
    folders = [(place, names) for place, _, names in os.walk(folder, topdown=False)]
    in_parallel(_sync_file, (os.path.join(place, name) for place, names in folders for name in names))  # noqa: PTH118
    for place, _ in folders:
        sync_directory(Path(place))


def _sync_file(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rename_to_version(folder: Path, base: Path, wanted: int | str | None) -> VersionDir:
    for number in _candidates(base, wanted):
        with contextlib.suppress(FileExistsError):
            rename_new(folder, base / str(number))
            return VersionDir(number, base / str(number))
    raise UsageError(f"base path {base} has no version number left above its newest", hint="give a version number")


def _candidates(base: Path, wanted: int | str | None) -> Iterator[int]:
    """Yield the numbers to try: the one asked for, or one after the other until a rename finds its number free."""
    if isinstance(wanted, int):
        refuse_taken(base, wanted)
        yield wanted
        refuse_taken(base, wanted)
    elif wanted == "timestamp":
        yield from itertools.count(int(time.time()))
    else:
        while (number := next_version(base)) <= _INT64_MAX:
            yield number


def refuse_taken(base: Path, number: int) -> None:
    """Raise ``UsageError`` if a version of this number exists, also under a name such as ``007``."""
    for version in list_versions(base):
        if version.number == number:
            raise UsageError(
                f"version {number} already exists: {version.path}",
                hint=f"versions are never overwritten; leave the number out to get {next_version(base)}",
            )


def _missing_directories(base: Path) -> list[Path]:
    """Return the directories of the base path that do not exist yet, innermost first."""
    return list(itertools.takewhile(lambda folder: not folder.exists(), (base, *base.parents)))


def _make_staging_directory(base: Path) -> Path:
    while True:
        # A publisher that failed may just have removed the empty base path again.
        with contextlib.suppress(FileNotFoundError):
            make_directory(base)
            remove_abandoned(base)
            folder = base / owner.current().staging_name()
            folder.mkdir()
            return folder


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _newest_change(folder: Path) -> float:
    newest = 0.0
    for place, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            newest = max(newest, Path(place).stat().st_mtime)
    return newest
