# SPDX-License-Identifier: Apache-2.0
"""Which of several servers gets a call: they take turns, and failing ones are left out for a while. No I/O."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.errors import StatusError

#: seconds for which a server is left out after a first failure; doubled for each consecutive one
_FIRST_REST: Final = 0.1
_LONGEST_REST: Final = 10.0
#: consecutive late calls after which a server is left out: a single one may just be a slow model
_MAX_LATE: Final = 3


class _Replica:
    __slots__ = ("late", "rests_until", "unavailable")

    def __init__(self) -> None:
        self.unavailable = 0
        self.late = 0
        self.rests_until = 0.0


class Replicas:
    """The servers of a client take turns; one that is unavailable, or late three times in a row, rests for a while.

    It rests 0.1 s, then 0.2 s, and so on up to 10 s; afterwards it gets calls again, and its first answer resets the
    count. If all servers rest, the one whose rest ends first gets the call, so a call always has a server. A call that
    failed on some servers goes to another one, even if that one rests: it may be back already.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = count
        self._all = [_Replica() for _ in range(count)]
        self._turns = itertools.count()
        self._clock = clock

    def pick(self, failed_servers: tuple[int, ...] = ()) -> int:
        """Return the number of the server whose turn it is.

        ``failed_servers``: the numbers of the servers that failed the same call, in order.
        """
        turn: int = next(self._turns) % len(self._all)
        if not failed_servers and not self._all[turn].rests_until:
            return turn
        now = self._clock()
        order: list[int] = [*range(turn, len(self._all)), *range(turn)]
        # every server once before any server a second time
        last = failed_servers[-(len(order) - 1) :] if len(order) > 1 else ()
        order = [number for number in order if number not in last]
        for number in order:
            if self._all[number].rests_until <= now:
                return number
        return min(order, key=lambda number: self._all[number].rests_until)

    def answered(self, number: int) -> None:
        """Record that a server answered, with a reply or an error."""
        replica = self._all[number]
        if replica.unavailable or replica.late:
            replica.unavailable = replica.late = 0
            replica.rests_until = 0.0

    def failed(self, number: int, error: StatusError) -> None:
        """Record how a call to a server failed."""
        replica = self._all[number]
        if isinstance(error, UnavailableError):
            replica.unavailable += 1
            failures = replica.unavailable
        elif isinstance(error, DeadlineExceededError) and not error.reached:
            replica.late += 1
            failures = replica.late - _MAX_LATE + 1
        else:
            self.answered(number)
            return
        if failures > 0:
            rest = min(_FIRST_REST * 2.0 ** min(failures - 1, 30), _LONGEST_REST)
            replica.rests_until = self._clock() + rest

    def resting(self) -> list[int]:
        """Return the numbers of the servers that rest now."""
        now = self._clock()
        return [number for number, replica in enumerate(self._all) if replica.rests_until > now]
