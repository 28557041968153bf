# SPDX-License-Identifier: Apache-2.0
"""``rollouts/MODEL/0001.jsonl`` and so on: the journals of a model's rollouts, one fsynced, sealed line an entry.

The highest number is the current one. What an entry says is up to the rollout (``rollout.controller.journal``), which
appends under the deployment's lock; every user may read. Beside the journals ``reserve`` keeps some disk space: on
a full disk it is given up, which is enough to go back in order.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tfs_deploy.atomic import make_directory, sync_directory
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.state.json_files import reason, unreadable
from tfs_deploy.state.model_dirs import model_dir, models_in
from tfs_deploy.state.sealed_lines import START, DamagedLineError, Lines, follow, read_lines, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

T = TypeVar("T")
FOLDER: Final = "rollouts"
RESERVE_NAME: Final = "reserve"
#: bytes that are enough for a rollback: a few entries, and a few small files replaced while their former ones exist
RESERVE: Final = 256 << 10
#: the status with which a rollout can be resumed
_PAUSED: Final = "paused"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def rollout_dir(state_dir: Path, model: str) -> Path:
    """Return where the journals of one model are, and the requests to its rollout."""
    return model_dir(state_dir / FOLDER, model)


def journals(state_dir: Path, model: str) -> list[Path]:
    """Return the journals of a model, the oldest first."""
    found = rollout_dir(state_dir, model).glob("*.jsonl")
    return sorted((path for path in found if path.stem.isdecimal()), key=lambda path: int(path.stem))


def models_with_journals(state_dir: Path) -> list[str]:
    """Return the models that have ever been rolled out."""
    return [model for model in models_in(state_dir / FOLDER) if journals(state_dir, model)]


@dataclass(frozen=True, slots=True)
class UnfinishedRollout:
    """A rollout that has not ended: of which model, from which version to which; ``paused`` says why, if it is."""

    model: str
    old: int
    new: int
    paused: str = ""

    def __str__(self) -> str:
        why = f" (paused: {self.paused})" if self.paused else ""
        return f"the rollout of {self.model} from version {self.old} to {self.new} is unfinished{why}"


def unfinished_rollout(state_dir: Path, model: str) -> UnfinishedRollout | None:
    """Return the last rollout of a model unless it has ended; ``EnvironmentFault`` for a damaged journal."""
    for path in reversed(journals(state_dir, model)):
        entries = JournalFile(path).entries(lambda entry: entry)
        if not entries:
            continue
        ends = [entry for entry in entries if entry["kind"] in ("finish", "resume")]
        last = ends[-1] if ends and ends[-1]["kind"] == "finish" else None
        if last is not None and last["detail"]["status"] != _PAUSED:
            return None
        plan = entries[0]["detail"].get("plan", {})
        why = "" if last is None else str(last["detail"].get("reason") or _PAUSED)
        return UnfinishedRollout(model, int(plan.get("old", 0)), int(plan.get("new", 0)), why)
    return None


class JournalFile:
    """One journal; an entry is on the disk when ``append_entry`` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: why entries are written with the last room on the disk; empty while they are not
        self.starved = ""
        #: what the next line names as the one before it, and where it goes; unknown before the first is written
        self._end: tuple[str, int] | None = None

    @classmethod
    def create(cls, state_dir: Path, model: str) -> Self:
        """Return the journal of a new rollout; it appears on the disk with its first entry."""
        existing = journals(state_dir, model)
        number = int(existing[-1].stem) + 1 if existing else 1
        return cls(rollout_dir(state_dir, model) / f"{number:04d}.jsonl")

    def append_entry(self, entry: Mapping[str, Any]) -> None:
        """Write one entry and wait until the disk has it; raises ``EnvironmentFault`` and leaves no half a line."""
        begun = self._size() > 0
        try:
            if self._end is None or self._end[1] != self._size():
                lines = self._lines()
                self._end = lines.chain, lines.size
            chain, end = self._end
            line = seal(entry, chain)
            self._write_or_make_room(line, end)
            self._end = follow(chain, line), end + len(line)
        except OSError as error:
            message = f"the rollout's journal {self.path} cannot be written: {error.strerror or error}"
            then = "tfs-deploy rollout resume" if begun else "run the command again; nothing was changed"
            raise EnvironmentFault(message, hint=f"make room or grant access, then: {then}") from error

    def entries(self, parse: Callable[[Any], T]) -> list[T]:
        """Return what ``parse`` makes of each whole entry; raises ``EnvironmentFault`` for a damaged file."""
        try:
            lines = self._lines()
        except OSError as error:
            raise unreadable(str(self.path), error) from error
        try:
            return [parse(document) for document in lines.documents]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(reason(error)) from error

    @contextlib.contextmanager
    def reserving(self) -> Iterator[None]:
        """Keep some room on the disk for as long as the rollout is worked on, if there is any."""
        reserve = self.path.with_name(RESERVE_NAME)
        with contextlib.suppress(OSError):
            reserve.parent.mkdir(parents=True, exist_ok=True)
            with reserve.open("wb") as file:
                if sys.platform == "linux":
                    os.posix_fallocate(file.fileno(), 0, RESERVE)
        try:
            yield
        finally:
            reserve.unlink(missing_ok=True)

    def make_room(self, error: BaseException | None) -> bool:
        """Give the reserve up if ``error`` is that of a full disk; return whether there was one to give up."""
        if not isinstance(error, OSError) or error.errno not in _FULL:
            return False
        try:
            self.path.with_name(RESERVE_NAME).unlink()
        except FileNotFoundError:
            return False
        self.starved = f"the disk is full: {self.path.parent}: {error.strerror}"
        return True

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _lines(self) -> Lines:
        if not self.path.exists():
            return Lines([], START, 0)
        try:
            return read_lines(read_regular(self.path), str(self.path))
        except DamagedLineError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, why: str) -> EnvironmentFault:
        hint = (
            "the server serves what it did, see: tfs-deploy status; to go on, restore the file from a backup and run "
            "tfs-deploy rollout resume, or move it away and start over"
        )
        return EnvironmentFault(f"{self.path} is damaged: {why}", hint=hint)

    def _write_or_make_room(self, line: bytes, end: int) -> None:
        try:
            self._write(line, end)
        except OSError as error:
            if not self.make_room(error):
                raise
            self._write(line, end)

    def _write(self, line: bytes, end: int) -> None:
        fresh = not self.path.exists()
        make_directory(self.path.parent)
        with open(self.path, "w+b" if fresh else "r+b", opener=_readable_by_all) as file:
            file.truncate(end)  # half a line of a process that was killed
            file.seek(end)
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise
        if fresh:
            sync_directory(self.path.parent)


def _readable_by_all(path: str, flags: int) -> int:
    return os.open(path, flags, 0o644)
