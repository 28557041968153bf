# SPDX-License-Identifier: Apache-2.0
"""The time that a call may take, over all the requests it sends."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.client.call.call import Call


#: seconds (11 days): the longest timeout; operating systems miscount beyond it
LONGEST: Final = 1e6


class Deadline:
    """The moment by which a whole call has to be done."""

    __slots__ = ("_clock", "_end", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float], since: float | None = None) -> None:
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not 0 < seconds < math.inf:
            raise RequestError(f"not a valid timeout: {seconds!r} s", hint="give a number of seconds greater than 0")
        self.seconds = seconds = min(seconds, LONGEST)
        self._clock = clock
        self._end = (clock() if since is None else since) + seconds

    def remaining(self) -> float:
        """Return the seconds until the deadline, negative once it has passed."""
        return self._end - self._clock()

    def limit(self, call: Call, longest: float = math.inf) -> Call:
        """Return the call with the time that is left as its timeout, at most ``longest`` seconds.

        Raises:
            DeadlineExceededError: no time is left.
        """
        left = self.remaining()
        if left <= 0:
            raise DeadlineExceededError(f"no answer within {self.seconds:g} s", hint="give a longer timeout")
        call.timeout = min(left, longest)
        call.end = self._end - max(0.0, left - longest)
        call.caller_timeout = self.seconds if longest == math.inf else 0.0
        return call
