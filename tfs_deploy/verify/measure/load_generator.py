# SPDX-License-Identifier: Apache-2.0
"""Generate load: a closed loop (a number of callers) or an open one (a number of requests a second)."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Callable

#: most callers of an open loop; a server that needs more at once does not keep up
_MOST_CALLERS = 64


@dataclass(frozen=True, slots=True)
class LoadWindow:
    """What one window measured: unordered latencies in seconds, failures, and the duration."""

    latencies: tuple[float, ...]
    errors: int
    seconds: float
    last_error: str = ""


def send_load(send: Callable[[], object], seconds: float, *, callers: int, rate: float | None = None) -> LoadWindow:
    """Call ``send`` for some seconds from several threads, time each call, and return the window.

    With ``rate`` calls are due at regular intervals, whatever the server does, and each is timed from when it was due:
    the requests that a stalled server keeps waiting count as slow.
    """
    callers = callers if rate is None else _MOST_CALLERS
    loop = _Loop(send, seconds, rate)
    threads = [threading.Thread(target=loop.run, name="load", daemon=True) for _ in range(callers)]
    began = time.perf_counter()
    loop.began = began
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        loop.stopped.set()  # pending calls end by their deadline, in daemon threads
        raise
    return LoadWindow(tuple(loop.latencies), loop.errors, time.perf_counter() - began, loop.last_error)


class _Loop:
    """What the threads of a window share."""

    def __init__(self, send: Callable[[], object], seconds: float, rate: float | None) -> None:
        self._send = send
        self._seconds = seconds
        self._rate = rate
        self._numbers = itertools.count()
        self.began = 0.0
        self.stopped = threading.Event()
        self.latencies: list[float] = []
        self.errors = 0
        self.last_error = ""

    def run(self) -> None:
        """Send requests until the time is over."""
        end = self.began + self._seconds
        while not self.stopped.is_set():
            due = time.perf_counter() if self._rate is None else self.began + next(self._numbers) / self._rate
            if due >= end:
                return
            wait = due - time.perf_counter()
            if wait > 0 and self.stopped.wait(wait):
                return
            try:
                self._send()
            except TfsDeployError as error:
                self.errors += 1
                self.last_error = error.message
                if self.stopped.wait(0.01):  # do not hammer a server that refuses at once
                    return
                continue
            self.latencies.append(time.perf_counter() - due)
