# SPDX-License-Identifier: Apache-2.0
"""The statistics of a client: calls by status, attempts, bytes, latencies."""

from __future__ import annotations

import collections
import math
import os
import sys
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import CallRecord

#: latencies are counted in buckets from one microsecond on, each 5 % wider than the one before
_WIDTH: Final = math.log(1.05)
_FLOOR: Final = 1e-6
_BUCKETS: Final = 420
#: finished calls that are collected before they are counted
_BATCH: Final = 128


@dataclass(frozen=True, slots=True)
class ClientStats:
    """What a client has done so far; latencies are seconds of whole calls, quantiles are accurate to 5 %.

    Of fewer than 500 calls ``latency_p99`` is that of one of the slowest few, and says little about others to come.
    """

    calls: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    hedges: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    latency_mean: float = 0.0
    latency_p50: float = 0.0
    latency_p95: float = 0.0
    latency_p99: float = 0.0
    latency_max: float = 0.0

    @property
    def succeeded(self) -> int:
        """The number of calls that returned a result."""
        return self.calls - sum(self.failed.values())


class Statistics:
    """Counts calls; safe to share between threads and across ``fork``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: collections.deque[tuple[float, int, int, int, int, str]] = collections.deque()
        self._calls = self._attempts = self._hedges = self._sent = self._received = 0
        self._failed: dict[str, int] = {}
        self._seconds = self._longest = 0.0
        self._buckets = [0] * _BUCKETS
        _all.add(self)

    def add(self, record: CallRecord) -> None:
        """Add a finished call; calls are counted in batches, so that most calls do not pay for it."""
        waiting = self._waiting
        waiting.append(
            (record.seconds, record.attempts, record.hedges, record.bytes_sent, record.bytes_received, record.status)
        )
        if len(waiting) >= _BATCH:
            with self._lock:
                self._count()

    def read(self) -> ClientStats:
        """Return the current counts."""
        with self._lock:
            self._count()
            return ClientStats(
                calls=self._calls,
                failed=dict(self._failed),
                attempts=self._attempts,
                hedges=self._hedges,
                bytes_sent=self._sent,
                bytes_received=self._received,
                latency_mean=self._seconds / self._calls if self._calls else 0.0,
                latency_p50=self._quantile(0.50),
                latency_p95=self._quantile(0.95),
                latency_p99=self._quantile(0.99),
                latency_max=self._longest,
            )

    def after_fork(self) -> None:
        """Replace the lock, which another thread may have held when the process forked."""
        self._lock = threading.Lock()

    def _count(self) -> None:
        """Count the calls added so far; the caller holds the lock."""
        while self._waiting:
            seconds, attempts, hedges, sent, received, status = self._waiting.popleft()
            self._calls += 1
            self._attempts += attempts
            self._hedges += hedges
            self._sent += sent
            self._received += received
            self._seconds += seconds
            self._longest = max(self._longest, seconds)
            bucket = int(math.log(seconds / _FLOOR) / _WIDTH) if seconds > _FLOOR else 0
            self._buckets[min(bucket, _BUCKETS - 1)] += 1
            if status != "OK":
                self._failed[status] = self._failed.get(status, 0) + 1

    def _quantile(self, share: float) -> float:
        rank = share * self._calls
        seen = 0
        for bucket, count in enumerate(self._buckets):
            seen += count
            if count and seen >= rank:
                return min(_FLOOR * math.exp((bucket + 0.5) * _WIDTH), self._longest)
        return 0.0


_all: weakref.WeakSet[Statistics] = weakref.WeakSet()


def _renew() -> None:
    for statistics in list(_all):
        statistics.after_fork()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_renew)
