# SPDX-License-Identifier: Apache-2.0
"""The request recorder: counts a consumer's requests during a rollout, for the process that judges the rollout.

Every consumer process appends to a file of its own beside the traffic file (see ``state.request_tallies``); no process
waits for another. Nothing is written while no rollout is unfinished and all traffic goes to the stable version: then
only the file's modification time shows that there is a consumer.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from tfs_deploy.state.request_tallies import Tally, TallyWriter, is_watched, latency_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tfs_deploy.client.routing.comparison import Difference

_LOG = logging.getLogger(__name__)


class RequestRecorder:
    """Counts requests by label; a background thread writes the counts, so that no request waits for the disk.

    If the folder cannot be written, the recorder logs one warning; requests go on.
    """

    def __init__(self, folder: Path, *, interval: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._interval = interval
        self._clock = clock
        self._warned = self._seen = False
        #: whether a rollout is unfinished, as of the last write: all requests are to be recorded
        self.watched = False
        self._tallies: dict[str, Tally] = {}
        self._since = clock()
        self._reset()

    def record(self, label: str, seconds: float, *, error: bool = False, broken: bool = False) -> None:
        """Count one request that just ended; for a failed one, ``seconds`` is not used.

        ``broken``: the reply holds values that are NaN or infinite.
        """
        number = latency_class(seconds)
        with self._ready():
            tally = self._tally(label)
            tally.requests += 1
            if error:
                tally.errors += 1
                return
            tally.broken += broken
            tally.total += seconds
            tally.squares += seconds * seconds
            tally.classes[number] = tally.classes.get(number, 0) + 1

    def outcome(self, label: str, value: float) -> None:
        """Count the outcome of a label's reply: 1.0 for a click or sale and 0.0 for none, or any number."""
        with self._ready():
            outcomes = self._tally(label).outcomes
            outcomes[0] += 1
            outcomes[1] += value
            outcomes[2] += value * value

    def compare(self, label: str, found: Mapping[str, Difference]) -> None:
        """Count one comparison of a label's reply with the one that was served."""
        with self._ready():
            compared = self._tally(label).compared
            for output, difference in found.items():
                sums = compared.setdefault(output, [0, 0.0, 0.0, 0])
                sums[0] += 1
                sums[1] += difference.distance
                sums[2] += difference.agreement
                sums[3] += difference.broken

    def alive(self) -> None:
        """Note that there are requests, although nothing about them is recorded now."""
        if not self._seen:
            with self._ready():
                self._seen = True

    def flush(self) -> None:
        """Write the counts since the last write."""
        self._ready()
        self._write()

    def _write(self) -> None:
        with self._writing:
            with self._lock:
                tallies, self._tallies = self._tallies, {}
                seen, self._seen = self._seen, False
                since, self._since = self._since, self._clock()
            try:
                self.watched = is_watched(self._folder)
                if tallies:
                    self._file.append(tallies, since, self._since)
                elif seen:
                    self._file.touch(self._clock())
            except OSError as error:
                if not self._warned:
                    self._warned = True
                    _LOG.warning("requests are not recorded: %s", error)

    def close(self) -> None:
        """Write the remaining counts and stop the thread; the next request starts a new one."""
        if self._stop is not None:
            self._stop.set()
        self._write()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stop: threading.Event | None = None
        self._tallies = {}
        self._since = self._clock()
        self._seen = False
        self._file = TallyWriter(self._folder)

    def _ready(self) -> threading.Lock:
        """Return the lock, after starting the writing thread if there is none."""
        if self._pid != os.getpid():  # after a fork, the thread and the lock are the parent's
            self._reset()
        if self._stop is None or self._stop.is_set():
            self._start()
        return self._lock

    def _start(self) -> None:
        with self._lock:
            if self._stop is not None and not self._stop.is_set():
                return
            self._stop = threading.Event()
            arguments = (weakref.ref(self), self._stop, self._interval)
            threading.Thread(target=_write_periodically, args=arguments, daemon=True, name="recorder").start()

    def _tally(self, label: str) -> Tally:
        tally = self._tallies.get(label)
        if tally is None:
            tally = self._tallies[label] = Tally()
        return tally


def _write_periodically(reference: weakref.ref[RequestRecorder], stop: threading.Event, interval: float) -> None:
    pause = min(interval, 0.05)  # the first write shows soon that there is a consumer
    while not stop.wait(pause):
        pause = interval
        recorder = reference()
        if recorder is None:
            return
        recorder._write()  # noqa: SLF001 - this is its own thread
        del recorder
