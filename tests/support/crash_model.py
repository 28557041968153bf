# SPDX-License-Identifier: Apache-2.0
"""What a machine that loses its power keeps: only what was synced, as the calls of this process ask for it.

A file's bytes are kept if they had left the process when the file was synced, which is taken to be after they were
written; a name in a directory is kept if that directory was synced after the name was made.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

Identity = tuple[int, int]


def identity(path: Path | int) -> Identity:
    status = os.fstat(path) if isinstance(path, int) else os.lstat(path)
    return status.st_dev, status.st_ino


class CrashModel:
    """The syncs, the new directories and the renames of this process, in order."""

    def __init__(self) -> None:
        self._events: list[tuple[str, Identity]] = []
        self._synced: dict[Identity, int] = {}

    def note(self, kind: str, which: Identity) -> None:
        self._events.append((kind, which))

    def note_sync(self, descriptor: int) -> None:
        self.note("sync", identity(descriptor))
        self._synced[identity(descriptor)] = os.fstat(descriptor).st_size

    def lost(self, path: Path, *, below: Path) -> list[str]:
        """Return what a crash now would lose of ``path``: parts of its name below ``below``, and its bytes."""
        kept = path.is_dir() or self._synced.get(identity(path)) == path.stat().st_size
        found = [] if kept else [f"the bytes of {path.name}"]
        while path != below:
            named = max(self._last("name", identity(path)), 0)
            if self._last("sync", identity(path.parent)) < named:
                found.append(f"the name {path.name}")
            path = path.parent
        return found

    def _last(self, kind: str, which: Identity) -> int:
        return max((place for place, event in enumerate(self._events) if event == (kind, which)), default=-1)


@contextlib.contextmanager
def crash_model(monkeypatch: pytest.MonkeyPatch) -> Iterator[CrashModel]:
    """Record what is synced and named from now on."""
    from tfs_deploy.store import publish

    model = CrashModel()
    with monkeypatch.context() as patch:
        fsync, mkdir, replace, rename_new = os.fsync, os.mkdir, os.replace, publish.rename_new

        def recorded_fsync(descriptor: int) -> None:
            fsync(descriptor)
            model.note_sync(descriptor)

        def recorded_mkdir(path: Any, *arguments: Any, **options: Any) -> None:
            mkdir(path, *arguments, **options)
            model.note("name", identity(Path(path)))

        def recorded_replace(source: Any, target: Any, **options: Any) -> None:
            replace(source, target, **options)
            model.note("name", identity(Path(target)))

        def recorded_rename_new(source: Path, target: Path) -> None:
            rename_new(source, target)
            model.note("name", identity(target))

        patch.setattr(os, "fsync", recorded_fsync)
        patch.setattr(os, "mkdir", recorded_mkdir)
        patch.setattr(os, "replace", recorded_replace)
        patch.setattr(publish, "rename_new", recorded_rename_new)
        yield model
