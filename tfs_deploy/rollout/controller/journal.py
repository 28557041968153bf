"""The journal of a rollout: one fsynced JSON line for each intention and each outcome.

One file a rollout, ``STATE_DIR/rollouts/MODEL/0001.jsonl`` and so on; the highest number is the current one. Beside
them ``reserve`` keeps some room on the disk: on a full disk it is given up, which is enough to go back in order.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import urllib.parse
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault, file_hint
from tfs_deploy.rollout.machine.history import Event, History
from tfs_deploy.rollout.machine.plan import RolloutPlan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: bytes that are enough for the way back: a few entries, and a few small files replaced while their former ones exist
RESERVE: Final = 256 << 10
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def model_dir(state_dir: Path, model: str) -> Path:
    """Return where the journals of one model are; a model name may hold characters that a file name may not."""
    return state_dir / "rollouts" / urllib.parse.quote(model, safe="")


def journals(state_dir: Path, model: str) -> list[Path]:
    """List the journals of a model, the oldest first."""
    found = model_dir(state_dir, model).glob("*.jsonl")
    return sorted((path for path in found if path.stem.isdecimal()), key=lambda path: int(path.stem))


def models_with_journals(state_dir: Path) -> list[str]:
    """List the models that have ever been rolled out."""
    folder = state_dir / "rollouts"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [name for name in map(urllib.parse.unquote, names) if journals(state_dir, name)]


class Journal:
    """Appends entries to one file; an entry is on the disk when ``append`` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: why entries are written with the last room on the disk; empty while they are not
        self.starved = ""

    @classmethod
    def create(cls, state_dir: Path, model: str) -> Journal:
        """Make the journal of a new rollout; it appears on the disk with its first entry."""
        existing = journals(state_dir, model)
        number = int(existing[-1].stem) + 1 if existing else 1
        return cls(model_dir(state_dir, model) / f"{number:04d}.jsonl")

    def append(self, event: Event) -> None:
        """Write one entry and wait until the disk has it; raises ``EnvironmentFault`` and leaves no half a line."""
        line = json.dumps(_document(event), sort_keys=True, default=str).encode() + b"\n"
        try:
            self._write_or_make_room(line)
        except OSError as error:
            message = f"the rollout's journal {self.path} cannot be written: {error.strerror or error}"
            raise EnvironmentFault(
                message, hint="make room or grant access, then: tfs-deploy rollout resume"
            ) from error

    @contextlib.contextmanager
    def reserving(self) -> Iterator[None]:
        """Keep some room on the disk for as long as the rollout is worked on, if there is any."""
        reserve = self.path.with_name("reserve")
        with contextlib.suppress(OSError):
            reserve.parent.mkdir(parents=True, exist_ok=True)
            with reserve.open("wb") as file:
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
            self.path.with_name("reserve").unlink()
        except FileNotFoundError:
            return False
        self.starved = f"the disk is full: {self.path.parent}: {error.strerror}"
        return True

    def _write_or_make_room(self, line: bytes) -> None:
        try:
            self._write(line)
        except OSError as error:
            if not self.make_room(error):
                raise
            self._write(line)

    def _write(self, line: bytes) -> None:
        fresh = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("r+b" if not fresh else "w+b") as file:
            end = _end_of_last_line(file)
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
            _sync_directory(self.path.parent)

    def read(self, *, mono: float = 0.0) -> list[Event]:
        """Read all whole entries; their monotonic time is ``mono``. Raises ``EnvironmentFault`` for a damaged file."""
        try:
            lines = self.path.read_bytes().split(b"\n")[:-1]
        except OSError as error:
            raise EnvironmentFault(
                f"{self.path} cannot be read: {error.strerror or error}", hint=file_hint(error)
            ) from error
        try:
            return [_event(json.loads(line), mono) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            hint = "move the file away to begin anew; what the server serves is not changed by that"
            raise EnvironmentFault(f"{self.path} is damaged: {error}", hint=hint) from error


def replay(events: list[Event]) -> tuple[RolloutPlan, History]:
    """Return the plan and the folded history of a journal; raises ``EnvironmentFault`` if it has no beginning."""
    if not events or events[0].kind != "start":
        raise EnvironmentFault("the rollout's journal has no beginning", hint="move the file away to begin anew")
    history = History()
    for event in events:
        history = history.after(event)
    return RolloutPlan.from_dict(events[0].detail["plan"]), history


def _end_of_last_line(file: Any) -> int:
    size: int = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    data: bytes = file.read()
    return data.rfind(b"\n") + 1


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _document(event: Event) -> dict[str, Any]:
    at = datetime.fromtimestamp(event.at, timezone.utc).isoformat(timespec="milliseconds")
    document = {"at": at, "kind": event.kind}
    if event.action:
        document["action"] = event.action
    return {**document, "ok": event.ok, "uptime": round(event.mono, 3), "detail": dict(event.detail)}


def _event(document: dict[str, Any], mono: float) -> Event:
    at = datetime.fromisoformat(document["at"]).timestamp()
    words = document["kind"], document.get("action", ""), document["ok"], document["detail"]
    return Event(*words, at, mono, document.get("uptime"))
