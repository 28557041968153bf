"""Numbers about requests: a recorder that callers feed, and what gates see of a window of time."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Requests of one label in a window: how many, how many failed, latencies of the others in seconds.

    The quantiles are ``None`` while no request succeeded.
    """

    requests: int = 0
    errors: int = 0
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None

    @property
    def error_rate(self) -> float:
        """Share of failed requests, 0.0 to 1.0; 0.0 for an empty window."""
        return self.errors / self.requests if self.requests else 0.0

    @classmethod
    def of(cls, latencies: Sequence[float], errors: int = 0) -> WindowSummary:
        """Summarise the latencies of successful requests and a count of failed ones."""
        if not latencies:
            return cls(errors, errors)
        quantiles = (float(value) for value in np.quantile(np.asarray(latencies), (0.5, 0.9, 0.95, 0.99)))
        return cls(len(latencies) + errors, errors, *quantiles)

    def slowest(self, other: WindowSummary) -> WindowSummary:
        """Return the worse of each quantile of two windows, and the counts of the bigger one."""
        bigger = max(self, other, key=lambda window: window.requests)
        pairs = zip(self._quantiles(), other._quantiles(), strict=True)
        worse = [max((value for value in pair if value is not None), default=None) for pair in pairs]
        return WindowSummary(bigger.requests, bigger.errors, *worse)

    def _quantiles(self) -> tuple[float | None, ...]:
        return (self.p50, self.p90, self.p95, self.p99)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    label: str
    seconds: float
    error: bool


class RequestStats:
    """Records requests as they end and summarises any recent window of them; safe to feed from many threads.

    ``keep`` bounds the memory: the oldest records are dropped beyond it.
    """

    def __init__(self, *, keep: int = 200_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[_Sample] = deque(maxlen=keep)

    def record(self, label: str, seconds: float, *, error: bool = False) -> None:
        """Count one request that just ended: the label it went to, how long it took, whether it failed."""
        self._samples.append(_Sample(self._clock(), label, seconds, error))

    def window(self, start: float, end: float) -> Mapping[str, WindowSummary]:
        """Summarise by label the requests that ended within ``[start, end)``, in seconds of the clock."""
        latencies: dict[str, list[float]] = {}
        errors: dict[str, int] = {}
        for sample in self._samples.copy():  # one step for the interpreter, so writers need no lock
            if start <= sample.at < end:
                times = latencies.setdefault(sample.label, [])
                if sample.error:
                    errors[sample.label] = errors.get(sample.label, 0) + 1
                else:
                    times.append(sample.seconds)
        return {label: WindowSummary.of(times, errors.get(label, 0)) for label, times in latencies.items()}
