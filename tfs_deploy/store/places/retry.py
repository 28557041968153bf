# SPDX-License-Identifier: Apache-2.0
"""Trying a request to a store again: exponential backoff with full jitter, bounded in attempts, every retry counted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from tfs_deploy.errors import TfsDeployError

T = TypeVar("T")
#: attempts where nothing listens: a wrong address should be told soon
_KNOCKS: Final = 3
#: seconds that a store may ask a caller to wait: beyond these, it is told at once
_LONGEST_ASKED: Final = 60.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a request is tried: ``attempts``, and the waits between them (seconds); silence ends one attempt."""

    attempts: int = 8
    first_wait: float = 0.1
    longest_wait: float = 5.0
    silence: float = 30.0

    def wait(self, failures: int) -> float:
        """Return the upper bound of the wait after so many failures in a row."""
        return min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))


class Lost(Exception):  # noqa: N818 - it never reaches a caller
    """A body ended before its length."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the failure of a request means.

    ``passes``: another try may succeed. ``unreachable``: nothing listens at the address at all. ``sentence`` makes the
    error for good, from what the caller was at, such as ``reading versions``. ``wait``: the seconds after which the
    store asks to be tried again, 0 if it does not say.
    """

    passes: bool
    unreachable: bool
    sentence: Callable[[str], TfsDeployError]
    wait: float = 0.0


class Requests:
    """Makes the requests to one place: tries them again, counts them and their retries, and translates failures.

    ``failures``: what a request may raise; ``judge`` tells what one of these means.
    """

    def __init__(
        self, patience: Patience, failures: tuple[type[Exception], ...], judge: Callable[[Exception], Failure]
    ) -> None:
        self.patience = patience
        self.failures = failures
        self._judge = judge
        self.made = 0
        self.retried = 0
        self._lock = threading.Lock()

    def call(self, doing: str, request: Callable[[], T], *, passing: tuple[type[BaseException], ...] = ()) -> T:
        """Return what a request returns; ``passing`` are errors that the caller wants as they are.

        ``request`` may be called several times. Raises ``EnvironmentFault`` or ``UsageError`` for a failure for good.
        """
        failures = 0
        while True:
            with self._lock:
                self.made += 1
            try:
                return request()
            except passing:
                raise
            except self.failures as error:
                failures += 1
                self.failed(doing, error, failures)

    def failed(self, doing: str, error: Exception, failures: int) -> None:
        """Wait before the next attempt, or raise the error as a sentence if there is none."""
        if isinstance(error, OSError) and error.errno is not None:  # obstore's own has none: this machine failed
            raise error
        failure = self._judge(error)
        most = min(_KNOCKS, self.patience.attempts) if failure.unreachable else self.patience.attempts
        if not failure.passes or failures >= most or failure.wait > _LONGEST_ASKED:
            raise failure.sentence(doing) from None  # the cause may show credentials
        with self._lock:
            self.retried += 1
        jitter = random.uniform(0, self.patience.wait(failures))  # noqa: S311 - jitter is no secret
        time.sleep(max(jitter, failure.wait))
