"""Whether a failed attempt is made again, and after which pause: pure decisions within a budget."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError, ResourceExhaustedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from tfs_deploy.errors import StatusError

#: the real server refuses a call beyond its threads with this, before any work (gRPC's own resource quota)
EXHAUSTED: Final = "Server Threadpool Exhausted"
#: a Python gRPC server with ``maximum_concurrent_rpcs`` refuses with this
_PYTHON_EXHAUSTED: Final = "Concurrent RPC limit exceeded"
#: seconds: with less left, another attempt is not worth its while
_SHORTEST_ATTEMPT: Final = 0.005
#: what a refusal without work takes out of the budget, next to 1 for any other attempt
_REFUSAL: Final = 0.1


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast failed attempts are made again.

    An UNAVAILABLE is tried again ``attempts - 1`` times; a refusal for want of server threads, which costs the server
    nothing, as long as the deadline allows. Pauses double from ``first_pause`` to ``longest_pause`` seconds, each
    shortened by chance by up to one half. All calls of a client share a budget, so that retries cannot multiply the
    load on servers that are down: ``reserve`` retries at once, refilled by ``per_second`` a second and ``per_call``
    a call.
    """

    attempts: int = 6
    first_pause: float = 0.05
    longest_pause: float = 1.0
    reserve: float = 100.0
    per_second: float = 10.0
    per_call: float = 0.2

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 < self.first_pause <= self.longest_pause:
            raise UsageError(
                f"{self} is no way to retry", hint="attempts is 1 or more, pauses are greater than 0 and grow"
            )

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after the given number of failures."""
        longest = min(self.first_pause * 2.0 ** min(failures - 1, 30), self.longest_pause)
        # S311: jitter keeps clients apart, it guards nothing
        return longest * (1.0 - random.random() / 2)  # noqa: S311


NEVER: Final = Retries(attempts=1)


class Budget:
    """Tokens for retries; losing an update between threads only makes it a little inexact."""

    __slots__ = ("_retries", "_since", "tokens")

    def __init__(self, retries: Retries, now: float) -> None:
        self._retries = retries
        self._since = now
        self.tokens = retries.reserve

    def called(self) -> None:
        """Put in what a first attempt brings."""
        if self.tokens < self._retries.reserve:
            self.tokens += self._retries.per_call

    def take(self, cost: float, now: float) -> bool:
        """Take out the cost of a retry, if there is as much."""
        gained = (now - self._since) * self._retries.per_second
        self._since = now
        tokens = min(self.tokens + gained, self._retries.reserve)
        enough = tokens >= cost
        self.tokens = tokens - cost if enough else tokens
        return enough


def refused(error: StatusError) -> bool:
    """Whether the server refused a call because all its threads were busy."""
    return isinstance(error, ResourceExhaustedError) and (
        EXHAUSTED in error.message or _PYTHON_EXHAUSTED in error.message
    )


def retry_after(
    error: StatusError,
    failures: int,
    left: float,
    retries: Retries,
    budget: Budget,
    now: float,
    refusals: int = 0,
) -> float | None:
    """Return the seconds to wait before the next attempt; ``None``: report the error.

    Args:
        error: how the attempt failed.
        failures: attempts so far.
        left: seconds until the deadline of the whole call. A DEADLINE_EXCEEDED with time left is that of an attempt.
        retries: how to retry.
        budget: what the retries of all calls share.
        now: monotonic seconds.
        refusals: how many of the failures before this one were refusals, which ``attempts`` does not limit.
    """
    if retries.attempts == 1:
        return None
    refusal = refused(error)
    if not refusal:
        passing = isinstance(error, (UnavailableError, DeadlineExceededError)) and error.retriable
        if not passing or failures - refusals >= retries.attempts:
            return None
    pause = 0.0 if isinstance(error, DeadlineExceededError) else retries.pause(failures)
    if pause + _SHORTEST_ATTEMPT >= left or not budget.take(_REFUSAL if refusal else 1.0, now):
        return None
    return pause
