"""Copies of requests for a candidate that serves nobody yet: sent aside, compared, dropped."""

from __future__ import annotations

import logging
import os
import queue
import random
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from tfs_deploy.client.routing.comparison import differences
from tfs_deploy.errors import TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.client.routing.comparison import Difference
    from tfs_deploy.client.routing.recorder import RequestRecorder
    from tfs_deploy.client.routing.splitting import Place
    from tfs_deploy.codec import PredictReply

#: is told who answered a copy, and how far its outputs are from those that were served
Told: TypeAlias = "Callable[[str | int, dict[str, Difference]], None]"

#: copies that may wait or be under way; what comes on top is dropped, never waited for
MOST: Final = 64
_THREADS: Final = 4
_LOG = logging.getLogger(__name__)


def wanted_copies(copies: Mapping[Place, float], served: Place) -> list[Place]:
    """Return by chance the labels (or versions) that get a copy of a request; never the one that has served it."""
    # S311: which request is copied is no secret
    return [label for label, percent in copies.items() if label != served and random.random() * 100 < percent]  # noqa: S311


def kept(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs that stay as they are when the caller fills its arrays anew."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in inputs.items()}


class Comparison:
    """One copy: the answer that was served, who is asked again, and where the result is counted or told."""

    def __init__(
        self, label: str | int, served: PredictReply, recorder: RequestRecorder | None, told: Told | None = None
    ) -> None:
        self.label = label
        self._served = served
        self._recorder = recorder
        self._told = told
        self._started = time.perf_counter()

    def start(self) -> None:
        """Take the time: the copy is sent now."""
        self._started = time.perf_counter()

    def failed(self) -> None:
        """Count a copy that was not answered."""
        if self._recorder is not None:
            self._recorder.record(str(self.label), time.perf_counter() - self._started, error=True)

    def answered(self, reply: PredictReply) -> None:
        """Compare with the answer that was served."""
        seconds = time.perf_counter() - self._started
        if self._recorder is None and self._told is None:
            return
        found = differences(self._served.outputs, reply.outputs)
        if self._recorder is not None:
            self._recorder.record(str(self.label), seconds)
            self._recorder.compare(str(self.label), found)
        if self._told is not None:
            try:
                self._told(self.label, found)
            except Exception:  # noqa: BLE001 - logged with its traceback
                # watching must not fail what is watched
                _LOG.exception("what is told of copies failed: %r", self._told)


class CopyThreads:
    """A few threads that send copies one by one; ``dropped`` counts those for which there was no room."""

    def __init__(self) -> None:
        self.dropped = 0
        self._pid = 0
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(self, ask: Callable[[], PredictReply], comparison: Comparison) -> None:
        """Send a copy when a thread is free; returns at once."""
        if self._pid != os.getpid():
            self._start()
        if self._jobs.qsize() >= MOST:
            self.dropped += 1
            return

        def job() -> None:
            comparison.start()
            try:
                reply = ask()
            except TfsDeployError:
                comparison.failed()
            else:
                comparison.answered(reply)

        self._jobs.put(job)

    def _start(self) -> None:
        """Start the threads; in a forked process anew, since threads stay with the parent."""
        self._pid = os.getpid()
        self._jobs = queue.SimpleQueue()
        for _ in range(_THREADS):
            threading.Thread(target=_work, args=(self._jobs,), daemon=True, name="copies").start()
        weakref.finalize(self, _end, self._jobs)


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        _carry_out(job)


def _carry_out(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception:  # noqa: BLE001 - whatever it is, the request itself was served
        _LOG.warning("a copy of a request was not compared", exc_info=True)


def _end(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    for _ in range(_THREADS):
        jobs.put(None)
