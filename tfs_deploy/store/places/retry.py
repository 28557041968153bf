# SPDX-License-Identifier: Apache-2.0
"""Trying a request to a store again: exponential backoff with full jitter, bounded in attempts, every retry counted."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from tfs_deploy.extras import import_extra
from tfs_deploy.store.places.faults import Fault, sentence, understand

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address

T = TypeVar("T")
#: attempts where nothing listens: a wrong address should be told soon
_KNOCKS: Final = 3


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


class Requests:
    """Makes the requests to one place: tries them again, counts them and their retries, and translates failures."""

    def __init__(self, address: Address, patience: Patience) -> None:
        self.address = address
        self.patience = patience
        #: what a request to an object store may raise
        self.failures: tuple[type[Exception], ...] = (
            import_extra("obstore.exceptions", "storage").BaseError,
            OSError,
            Lost,
        )
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
        fault = Fault(kind="lost") if isinstance(error, Lost) else understand(str(error))
        most = min(_KNOCKS, self.patience.attempts) if fault.unreachable else self.patience.attempts
        if not fault.passes or failures >= most:
            raise sentence(fault, self.address, doing) from None  # the cause may show credentials
        with self._lock:
            self.retried += 1
        time.sleep(random.uniform(0, self.patience.wait(failures)))  # noqa: S311 - jitter is no secret
