# SPDX-License-Identifier: Apache-2.0
"""``requests/MODEL/*.jsonl``: what consumers saw of their requests during a rollout, for the process that judges it.

Every consumer process appends to a file of its own, one JSON line for each half second: requests, errors, a histogram
of latencies, by label. No file is shared by writers, so there is no lock. Consumers write while a rollout is unfinished
(``watched`` is there) or another label than the stable one gets requests; else only the file's time says that a
consumer is there. ``mono`` is ``time.monotonic()``, which processes of one machine share;
``boot`` and ``at`` are for other machines.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.regular_file import open_regular, read_regular
from tfs_deploy.state.json_files import require_known, stamped
from tfs_deploy.state.model_dirs import model_dir
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER: Final = "requests"
#: the file that says that a rollout is unfinished, beside those of the consumers
WATCHED: Final = "watched"
VERSION: Final = 1
#: latency classes: this many for each doubling, counted from a microsecond, so that a class is 9 % wide
_PER_DOUBLING: Final = 8
#: bytes of a file beyond which its older half is dropped
_LARGEST: Final = 4 << 20
#: seconds between two signs of life while there is nothing to write
_SIGN: Final = 5.0
#: seconds without a line after which a file starts over: what an earlier rollout left is of no use
_STALE: Final = 3600.0


def requests_dir(state_dir: Path, model: str) -> Path:
    """Return the directory with the files of one model's consumers."""
    return model_dir(state_dir / FOLDER, model)


def set_watched(directory: Path, *, watched: bool) -> None:
    """Tell consumers to record all requests, or only those of an experiment; raises ``OSError``."""
    if watched:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / WATCHED).touch()
    else:
        (directory / WATCHED).unlink(missing_ok=True)


def is_watched(directory: Path) -> bool:
    """Whether a rollout is unfinished, so that all requests are to be recorded."""
    return (directory / WATCHED).exists()


def latency_class(seconds: float) -> int:
    """Return the class of a latency; class ``n`` ends at ``class_end(n)``."""
    return max(0, math.ceil(_PER_DOUBLING * math.log2(max(seconds, 1e-6) * 1e6)))


def class_end(number: int) -> float:
    """Return the upper end of a latency class in seconds."""
    return float(2 ** (number / _PER_DOUBLING)) * 1e-6


@dataclass(slots=True)
class Tally:
    """The requests of one label since the last line: counts, latencies, outcomes, comparisons."""

    requests: int = 0
    errors: int = 0
    broken: int = 0
    total: float = 0.0
    squares: float = 0.0
    classes: dict[int, int] = field(default_factory=dict)
    outcomes: list[float] = field(default_factory=lambda: [0, 0.0, 0.0])
    compared: dict[str, list[float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


class TallyWriter:
    """Writes the file of one consumer process; its methods raise ``OSError``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.jsonl"
        self._touched = self._written = -math.inf

    def append(self, tallies: Mapping[str, Tally], start: float, end: float) -> None:
        """Write the tallies by label of ``[start, end)``, in monotonic seconds."""
        labels = {label: tally.as_dict() for label, tally in tallies.items()}
        line = stamped({"boot": boot_id(), "mono": [start, end], "at": time.time(), "labels": labels}, VERSION)
        self._directory.mkdir(parents=True, exist_ok=True)
        if self._path.exists() and self._path.stat().st_size > _LARGEST:
            self._drop_half()
        with self._path.open("w" if end - self._written > _STALE else "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._touched = self._written = end

    def touch(self, now: float) -> None:
        """Leave a sign of life, unless there is a recent one; ``now`` is in monotonic seconds."""
        if now - self._touched < _SIGN:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        self._path.touch()
        self._touched = now

    def _drop_half(self) -> None:
        lines = read_regular(self._path).decode().splitlines(keepends=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(lines[len(lines) // 2 :]), encoding="utf-8")
        fresh.replace(self._path)


@dataclass(slots=True)
class _File:
    """One consumer's file, read as far as ``offset``."""

    inode: int = 0
    offset: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)


class TallyReader:
    """Reads the files of all consumers of a model, each time what was added since the last."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[Path, _File] = {}

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield every whole line; raises ``EnvironmentFault`` for one of a later format."""
        for path in self._paths():
            yield from self._read(path)

    def last_written(self) -> float:
        """Return when a consumer wrote last, in seconds since the epoch; minus infinity if none ever did."""
        return max(map(_modified, self._paths()), default=-math.inf)

    def _paths(self) -> list[Path]:
        return sorted(self._directory.glob("*.jsonl"))

    def _read(self, path: Path) -> list[dict[str, Any]]:
        """Read what was added; a file whose older half was dropped is read again, and what it held stays counted."""
        known = self._files.setdefault(path, _File())
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if status.st_ino != known.inode or status.st_size < known.offset:
                known = self._files[path] = _File(status.st_ino, lines=known.lines)
            file.seek(known.offset)
            fresh = file.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        lines = [parse_document(line) for line in whole.splitlines()]
        for line in lines:
            require_known(line, VERSION, str(path))
        known.offset += len(whole)
        known.lines += [line for line in lines if not known.lines or line["mono"][1] > known.lines[-1]["mono"][1]]
        return known.lines


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # it was removed a moment ago
        return -math.inf
