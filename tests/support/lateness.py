# SPDX-License-Identifier: Apache-2.0
"""How late something is, on a machine that itself may be late."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from typing_extensions import Self

_TICK = 0.005
_TRIES = 3
#: seconds
_VERY_LATE = 0.5
#: threads through which a call ends one after the other: the timer, the poller, the caller
_HANDS = 3
#: through which a server ends: main thread, drain, REST loop, gRPC, timer, the process that watches it, the caller
ENDING_HANDS = 7


class Wakes:
    """Measures how late this machine wakes threads: one ticks on each processor, ``worst`` is the latest wake."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._over = threading.Event()
        processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
        self._threads = [threading.Thread(target=self._tick, args=(processor,)) for processor in processors]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _tick(self, processor: int) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setaffinity(0, {processor})  # of this thread only
        while not self._over.is_set():
            started = time.monotonic()
            time.sleep(_TICK)
            self.worst = max(self.worst, time.monotonic() - started - _TICK)


def lateness(call: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Return how many seconds behind ``seconds`` a call ends, and how many of that the machine may be blamed for."""
    with Wakes() as wakes:
        started = time.monotonic()
        call()
        late = time.monotonic() - started - seconds
    return late, _HANDS * wakes.worst


def assert_punctual(call: Callable[[], Any], seconds: float, within: float = 0.05) -> None:
    """Assert that a call takes no longer than ``seconds``, give or take ``within`` and what the machine is late.

    A call that is a little late is made again: one that is late each time is so for a reason of its own. One that is
    very late is so too, even if the next is not.
    """
    found = []
    for _ in range(_TRIES):
        late, blamed = lateness(call, seconds)
        if late < within + blamed:
            return
        found.append((late, blamed))
        if late > _VERY_LATE + blamed:
            break
    raise AssertionError(f"late by (and the machine to blame for) {found}")
