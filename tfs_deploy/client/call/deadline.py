"""The time that an operation has, over all its requests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.client.call.steps import Call


#: seconds: longer timeouts count as this one (11 days), beyond it systems count wrongly
LONGEST: Final = 1e6


class Deadline:
    """A moment on a clock by which a whole operation has to be done."""

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float], since: float | None = None) -> None:
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not 0 < seconds < math.inf:
            raise RequestError(f"the timeout is {seconds!r} s", hint="give a number of seconds greater than 0")
        self.seconds = seconds = min(seconds, LONGEST)
        self._clock = clock
        self._end = (clock() if since is None else since) + seconds

    def remaining(self) -> float:
        """Return the seconds until the deadline, negative behind it."""
        return self._end - self._clock()

    def limit(self, call: Call, longest: float = math.inf) -> Call:
        """Give a call the time that is left, and no more than ``longest`` seconds.

        Raises:
            DeadlineExceededError: none is left.
        """
        left = self.remaining()
        if left <= 0:
            raise DeadlineExceededError(f"no answer within {self.seconds:g} s", hint="give a longer timeout")
        call.timeout = min(left, longest)
        call.end = self._end - max(0.0, left - longest)
        call.given = self.seconds if longest == math.inf else 0.0
        return call
