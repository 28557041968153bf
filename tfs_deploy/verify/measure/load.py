"""Load on a server for a while, as a closed loop (so many callers) or an open one (so many requests a second)."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Callable

#: callers of an open loop at most; a server that needs more at once does not keep up
_MOST_CALLERS = 64


@dataclass(frozen=True, slots=True)
class Burst:
    """What a burst measured: latencies in seconds, in no order, failures, and how long it took."""

    latencies: tuple[float, ...]
    errors: int
    seconds: float
    last_error: str = ""


def burst(send: Callable[[], object], seconds: float, *, callers: int, rate: float | None = None) -> Burst:
    """Call ``send`` for a time from several threads, and time each call.

    With ``rate`` calls are due at even distances, whatever the server does, and each is timed from when it was due, so
    that a server that stalls is charged for the requests it kept waiting.
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
        loop.stopped.set()  # the calls under way end by their deadline, in threads that keep no process alive
        raise
    return Burst(tuple(loop.latencies), loop.errors, time.perf_counter() - began, loop.last_error)


class _Loop:
    """What the threads of a burst share."""

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
        """Send until the time is over."""
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
                if self.stopped.wait(0.01):  # a server that refuses at once is not to be hammered
                    return
                continue
            self.latencies.append(time.perf_counter() - due)
