# SPDX-License-Identifier: Apache-2.0
"""Shadow requests: copies for a candidate that serves no traffic yet, sent in the background and compared."""

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
    from tfs_deploy.client.routing.label_choice import Place
    from tfs_deploy.client.routing.recorder import RequestRecorder
    from tfs_deploy.codec import PredictReply

#: called with the label that answered a copy, and the differences of its outputs from those that were served
ComparisonCallback: TypeAlias = "Callable[[str | int, dict[str, Difference]], None]"

#: copies that may be waiting or in progress; further ones are dropped, so that no request waits for a copy
MAX_PENDING: Final = 64
_THREADS: Final = 4
_LOG = logging.getLogger(__name__)


def sample_copies(copies: Mapping[Place, float], served_by: Place) -> list[Place]:
    """Return the labels (or versions) that get a copy of a request, by chance; never the one that served it."""
    # S311: which request is copied is no secret
    return [label for label, percent in copies.items() if label != served_by and random.random() * 100 < percent]  # noqa: S311


def copy_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the inputs, because the caller may reuse its arrays."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in inputs.items()}


class ShadowRequest:
    """One copy of a request: its label, the reply that was served, and where the comparison goes."""

    def __init__(
        self,
        label: str | int,
        served_reply: PredictReply,
        recorder: RequestRecorder | None,
        compared: ComparisonCallback | None = None,
    ) -> None:
        self.label = label
        self._served_reply = served_reply
        self._recorder = recorder
        self._compared = compared
        self._started = time.perf_counter()

    def start(self) -> None:
        """Start measuring the time: the copy is sent now."""
        self._started = time.perf_counter()

    def failed(self) -> None:
        """Count a copy that was not answered."""
        if self._recorder is not None:
            self._recorder.record(str(self.label), time.perf_counter() - self._started, error=True)

    def answered(self, reply: PredictReply) -> None:
        """Compare the reply to the copy with the one that was served."""
        seconds = time.perf_counter() - self._started
        if self._recorder is None and self._compared is None:
            return
        found = differences(self._served_reply.outputs, reply.outputs)
        if self._recorder is not None:
            self._recorder.record(str(self.label), seconds)
            self._recorder.compare(str(self.label), found)
        if self._compared is not None:
            try:
                self._compared(self.label, found)
            except Exception:  # noqa: BLE001 - logged with its traceback
                # observing copies must not fail them
                _LOG.exception("the callback for compared copies failed: %r", self._compared)


class ShadowThreads:
    """A few threads that send copies; ``dropped`` counts those that did not fit into the queue."""

    def __init__(self) -> None:
        self.dropped = 0
        self._pid = 0
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def submit(self, send: Callable[[], PredictReply], shadow: ShadowRequest) -> None:
        """Send a copy when a thread is free; return at once."""
        if self._pid != os.getpid():
            self._start()
        if self._jobs.qsize() >= MAX_PENDING:
            self.dropped += 1
            return

        def job() -> None:
            shadow.start()
            try:
                reply = send()
            except TfsDeployError:
                shadow.failed()
            else:
                shadow.answered(reply)

        self._jobs.put(job)

    def _start(self) -> None:
        """Start the threads; a forked process starts its own, since threads do not survive a fork."""
        self._pid = os.getpid()
        self._jobs = queue.SimpleQueue()
        for _ in range(_THREADS):
            threading.Thread(target=_work, args=(self._jobs,), daemon=True, name="copies").start()
        weakref.finalize(self, _stop_threads, self._jobs)


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        _run_job(job)


def _run_job(job: Callable[[], None]) -> None:
    try:
        job()
    except Exception:  # noqa: BLE001 - the request itself was served
        _LOG.warning("a copy of a request was not compared", exc_info=True)


def _stop_threads(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    for _ in range(_THREADS):
        jobs.put(None)
