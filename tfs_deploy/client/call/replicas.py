"""Which of several servers gets a call: in turn, leaving out those that fail. Pure bookkeeping."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.errors import StatusError

#: seconds that a server is left out for after its first failure in a row; doubled for each further one
_FIRST_REST: Final = 0.1
_LONGEST_REST: Final = 10.0
#: calls in a row without an answer in time, after which a server is left out: one may be the model's own slowness
_PATIENCE: Final = 3


class _Replica:
    __slots__ = ("late", "rests_until", "unavailable")

    def __init__(self) -> None:
        self.unavailable = 0
        self.late = 0
        self.rests_until = 0.0


class Replicas:
    """Takes servers in turn; one that is unavailable, or late three times in a row, rests 0.1 s, 0.2 s, ... 10 s.

    After its rest it gets calls again, and the first answer ends the matter. If all rest, the one whose rest ends first
    is taken: a call always has somewhere to go. A call that failed on some servers goes to another one, even if that
    rests: it may be back already.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._all = [_Replica() for _ in range(count)]
        self._turns = itertools.count()
        self._clock = clock

    def pick(self, tried: tuple[int, ...] = ()) -> int:
        """Return the number of the server whose turn it is; ``tried``: those that failed the same call, in order."""
        turn: int = next(self._turns) % len(self._all)
        if not tried and not self._all[turn].rests_until:
            return turn
        now = self._clock()
        order: list[int] = [*range(turn, len(self._all)), *range(turn)]
        # all of them once before one of them again
        last = tried[-(len(order) - 1) :] if len(order) > 1 else ()
        order = [number for number in order if number not in last]
        for number in order:
            if self._all[number].rests_until <= now:
                return number
        return min(order, key=lambda number: self._all[number].rests_until)

    def answered(self, number: int) -> None:
        """Note that a server answered, whatever it said."""
        replica = self._all[number]
        if replica.unavailable or replica.late:
            replica.unavailable = replica.late = 0
            replica.rests_until = 0.0

    def failed(self, number: int, error: StatusError) -> None:
        """Note how a call to a server failed."""
        replica = self._all[number]
        if isinstance(error, UnavailableError):
            replica.unavailable += 1
            failures = replica.unavailable
        elif isinstance(error, DeadlineExceededError):
            replica.late += 1
            failures = replica.late - _PATIENCE + 1
        else:
            self.answered(number)
            return
        if failures > 0:
            rest = min(_FIRST_REST * 2.0 ** min(failures - 1, 30), _LONGEST_REST)
            replica.rests_until = self._clock() + rest

    def resting(self) -> list[int]:
        """Return the numbers of the servers that are left out now."""
        now = self._clock()
        return [number for number, replica in enumerate(self._all) if replica.rests_until > now]
