# SPDX-License-Identifier: Apache-2.0
"""Numbers about requests: a recorder that callers feed, and the summary of a window that gates see."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.quantiles import QUANTILES, requests_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class RequestCount:
    """How many requests there were, and how many of them failed."""

    requests: int = 0
    errors: int = 0

    def __add__(self, other: RequestCount) -> RequestCount:
        return RequestCount(self.requests + other.requests, self.errors + other.errors)

    def __sub__(self, other: RequestCount) -> RequestCount:
        return RequestCount(self.requests - other.requests, self.errors - other.errors)


def read_counts(counted: Mapping[str, Sequence[int]]) -> dict[str, RequestCount]:
    """Read counts by label as the journal has them: pairs of requests and errors."""
    return {label: RequestCount(*map(int, pair)) for label, pair in counted.items()}


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample of numbers: how many, their mean and standard deviation."""

    count: int
    mean: float
    deviation: float

    @classmethod
    def of_sums(cls, count: int, total: float, squares: float) -> Spread | None:
        """Summarise from a count, a sum and a sum of squares; ``None`` for nothing."""
        if count < 1:
            return None
        mean = total / count
        variance = max(0.0, squares / count - mean * mean) * count / max(1, count - 1)
        return cls(count, mean, math.sqrt(variance))


@dataclass(frozen=True, slots=True)
class OutputComparison:
    """One output of the canary against stable's, averaged over ``count`` (see ``client.routing.comparison``)."""

    count: int
    distance: float
    agreement: float
    broken: int = 0


@dataclass(frozen=True, slots=True)
class WindowSummary:
    """Requests of one label in a window: how many, how many failed, latencies of the others in seconds.

    The quantiles are ``None`` while no request succeeded. ``latency``: mean and deviation of the same. ``outcomes``:
    what consumers reported of the answers, for an experiment. ``compared``: by output, where copies were compared.
    ``broken``: answers that hold values that are NaN or infinite, as far as that was looked at.
    """

    requests: int = 0
    errors: int = 0
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    latency: Spread | None = None
    outcomes: Spread | None = None
    compared: Mapping[str, OutputComparison] = field(default_factory=dict)
    broken: int = 0

    @property
    def count(self) -> RequestCount:
        """The requests, and those that failed."""
        return RequestCount(self.requests, self.errors)

    @property
    def error_rate(self) -> float:
        """Share of failed requests, 0.0 to 1.0; 0.0 for an empty window."""
        return self.errors / self.requests if self.requests else 0.0

    def tells(self, quantile: str) -> bool:
        """Whether there are enough answers for a quantile (see ``requests_for``)."""
        return getattr(self, quantile) is not None and self.requests - self.errors >= requests_for(quantile)

    @classmethod
    def of(cls, latencies: Sequence[float], errors: int = 0, outcomes: Sequence[float] = ()) -> WindowSummary:
        """Summarise the latencies of successful requests, a count of failed ones, and reported outcomes."""
        reported = _spread(outcomes)
        if not latencies:
            return cls(errors, errors, outcomes=reported)
        values = np.quantile(np.asarray(latencies), list(QUANTILES.values()))
        quantiles: dict[str, Any] = {name: float(value) for name, value in zip(QUANTILES, values, strict=True)}
        return cls(len(latencies) + errors, errors, **quantiles, latency=_spread(latencies), outcomes=reported)

    def slowest(self, other: WindowSummary) -> WindowSummary:
        """Return the worse of each quantile of two windows, and the counts of the bigger one.

        A quantile of a window with too few requests for it does not count where the bigger window has enough.
        """
        bigger = max(self, other, key=lambda window: window.requests - window.errors)
        worse: dict[str, Any] = {}
        for name in QUANTILES:
            needed = min(requests_for(name), bigger.requests - bigger.errors)
            sound = [window for window in (self, other) if window.requests - window.errors >= needed]
            worse[name] = max((value for window in sound if (value := getattr(window, name)) is not None), default=None)
        return WindowSummary(bigger.requests, bigger.errors, **worse)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WindowSummary:
        """Read what ``as_dict`` wrote."""
        spreads = {name: Spread(**values[name]) for name in ("latency", "outcomes") if values.get(name)}
        compared = {name: OutputComparison(**entry) for name, entry in values.get("compared", {}).items()}
        return cls(**{**values, **spreads, "compared": compared})


def _spread(values: Sequence[float]) -> Spread | None:
    array = np.asarray(values, np.float64)
    return Spread.of_sums(len(values), float(array.sum()), float((array * array).sum()))


@dataclass(frozen=True, slots=True)
class _Sample:
    at: float
    label: str
    seconds: float
    error: bool


class RequestStats:
    """Records requests as they end and summarises any recent window of them; safe to feed from many threads.

    ``keep`` bounds the memory: the oldest records are dropped beyond it. ``synthetic``: the requests are those of a
    load generator, which reports of a rollout then say.
    """

    def __init__(
        self, *, keep: int = 200_000, synthetic: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.synthetic = synthetic
        self._clock = clock
        self._lock = threading.Lock()
        self._samples: deque[_Sample] = deque(maxlen=keep)
        self._outcomes: deque[tuple[float, str, float]] = deque(maxlen=keep)

    def record(self, label: str, seconds: float, *, error: bool = False) -> None:
        """Count one request that just ended: the label it went to, how long it took, whether it failed."""
        with self._lock:  # a request that ended before a window was read is in it
            self._samples.append(_Sample(self._clock(), label, seconds, error))

    def outcome(self, label: str, value: float) -> None:
        """Count the outcome of an answer of a label: 1.0 or 0.0 for a conversion, or any number."""
        self._outcomes.append((self._clock(), label, value))

    def window(self, start: float, end: float) -> Mapping[str, WindowSummary]:
        """Summarise by label the requests that ended within ``[start, end)``, in seconds of the clock."""
        latencies: dict[str, list[float]] = {}
        errors: dict[str, int] = {}
        outcomes: dict[str, list[float]] = {}
        with self._lock:
            samples = self._samples.copy()
        for sample in samples:
            if start <= sample.at < end:
                times = latencies.setdefault(sample.label, [])
                if sample.error:
                    errors[sample.label] = errors.get(sample.label, 0) + 1
                else:
                    times.append(sample.seconds)
        for at, label, value in self._outcomes.copy():
            if start <= at < end:
                outcomes.setdefault(label, []).append(value)
        labels = {**latencies, **outcomes}
        return {
            label: WindowSummary.of(latencies.get(label, ()), errors.get(label, 0), outcomes.get(label, ()))
            for label in labels
        }
