# SPDX-License-Identifier: Apache-2.0
"""The retry decision: whether a failed attempt is retried, and after which pause. Pure, within a budget."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError, ResourceExhaustedError, UnavailableError, UsageError

if TYPE_CHECKING:
    from tfs_deploy.errors import StatusError

#: how the real server refuses a call when all its threads are busy, before any work (gRPC's resource quota)
EXHAUSTED: Final = "Server Threadpool Exhausted"
#: how a Python gRPC server with ``maximum_concurrent_rpcs`` refuses a call
_PYTHON_EXHAUSTED: Final = "Concurrent RPC limit exceeded"
#: seconds: with less time left, another attempt is not worthwhile
_SHORTEST_ATTEMPT: Final = 0.005
#: what retrying a refused call costs, compared with 1 for any other retry
_REFUSAL_COST: Final = 0.1


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast failed attempts are retried.

    UNAVAILABLE is retried up to ``attempts - 1`` times, and so is an attempt that ``attempt_timeout`` gave up. A call
    that the server refused because all its threads were busy, which costs the server nothing, is retried as long as the
    deadline allows. Pauses double from ``first_pause`` to ``longest_pause`` seconds, each randomly shortened by up to
    one half. All calls of a client share a budget, so that retries cannot multiply the load on failing servers:
    ``reserve`` retries at once, refilled by ``per_second`` retries per second and ``per_call`` retries per call.

    A DEADLINE_EXCEEDED that the server answers (HTTP 504) is reported at once: the model may have run, and may run as
    long again. ``idempotent`` says that this is wanted: then it is retried as UNAVAILABLE is.
    """

    attempts: int = 6
    first_pause: float = 0.05
    longest_pause: float = 1.0
    reserve: float = 100.0
    per_second: float = 10.0
    per_call: float = 0.2
    idempotent: bool = False

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 < self.first_pause <= self.longest_pause:
            raise UsageError(
                f"not valid retry settings: {self}",
                hint="give attempts of 1 or more, and pauses greater than 0 with first_pause <= longest_pause",
            )

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after that many failures."""
        longest = min(self.first_pause * 2.0 ** min(failures - 1, 30), self.longest_pause)
        # S311: jitter keeps clients apart, it protects nothing
        return longest * (1.0 - random.random() / 2)  # noqa: S311


NO_RETRIES: Final = Retries(attempts=1)


class RetryBudget:
    """Tokens for retries, shared by all calls of a client.

    It has no lock: an update lost between threads only makes it slightly inexact.
    """

    __slots__ = ("_retries", "_since", "tokens")

    def __init__(self, retries: Retries, now: float) -> None:
        self._retries = retries
        self._since = now
        self.tokens = retries.reserve

    def earn(self) -> None:
        """Add what a call's first attempt earns."""
        if self.tokens < self._retries.reserve:
            self.tokens += self._retries.per_call

    def spend(self, cost: float, now: float) -> bool:
        """Spend the cost of a retry and return whether there was enough."""
        earned = (now - self._since) * self._retries.per_second
        self._since = now
        tokens = min(self.tokens + earned, self._retries.reserve)
        enough = tokens >= cost
        self.tokens = tokens - cost if enough else tokens
        return enough


def is_refusal(error: StatusError) -> bool:
    """Return whether the server refused a call because all its threads were busy."""
    return isinstance(error, ResourceExhaustedError) and (
        EXHAUSTED in error.message or _PYTHON_EXHAUSTED in error.message
    )


def retry_after(
    error: StatusError,
    *,
    failures: int,
    left: float,
    retries: Retries,
    budget: RetryBudget,
    now: float,
    refusals: int = 0,
) -> float | None:
    """Return the seconds to wait before the next attempt; ``None`` = report the error.

    Args:
        error: how the last attempt failed.
        failures: attempts so far.
        left: seconds until the deadline of the whole call. If time is left, a DEADLINE_EXCEEDED without an answer is
            that of one attempt.
        retries: the client's settings.
        budget: shared by all calls of the client.
        now: monotonic seconds.
        refusals: how many earlier failures were refusals, which ``attempts`` does not limit.
    """
    if retries.attempts == 1:
        return None
    refusal = is_refusal(error)
    if not refusal and (not _is_transient(error, retries) or failures - refusals >= retries.attempts):
        return None
    # an attempt that was given up has already waited
    pause = 0.0 if isinstance(error, DeadlineExceededError) and not error.reached else retries.pause(failures)
    if pause + _SHORTEST_ATTEMPT >= left or not budget.spend(_REFUSAL_COST if refusal else 1.0, now):
        return None
    return pause


def _is_transient(error: StatusError, retries: Retries) -> bool:
    """Return whether there is a reason to expect more of another attempt."""
    if isinstance(error, DeadlineExceededError):
        return retries.idempotent or not error.reached
    return isinstance(error, UnavailableError) and error.retriable
