# SPDX-License-Identifier: Apache-2.0
"""Live traffic for the demo: threads that send held-out rows through the router and check every answer."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.errors import TfsDeployError
from tfs_deploy.quantiles import QUANTILES, requests_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from typing_extensions import Self

    from tfs_deploy.client import Router
    from tfs_deploy.demo.view import ProgressBar
    from tfs_deploy.rollout import RequestStats

ROWS_PER_REQUEST = 4
#: seconds between two updates of the counters
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """One request: its end, latency, the version that answered (``None``: it failed), and rows answered right."""

    at: float
    seconds: float
    version: int | None
    right: int = 0


@dataclass(frozen=True, slots=True)
class TrafficSummary:
    """A span of traffic: counts, latencies in seconds (``None``: too few requests), accuracy and share by version."""

    requests: int
    errors: int
    p50: float | None
    p99: float | None
    accuracy: dict[int, float]
    share: dict[int, float]

    @classmethod
    def of(cls, answers: Iterable[FinishedRequest]) -> TrafficSummary:
        """Return the summary of some requests."""
        done = list(answers)
        good = [answer for answer in done if answer.version is not None]
        by_version: dict[int, list[int]] = defaultdict(list)
        for answer in good:
            by_version[answer.version or 0].append(answer.right)
        latencies = [answer.seconds for answer in good]
        p50, p99 = (
            float(np.quantile(latencies, QUANTILES[name])) if len(good) >= requests_for(name) else None
            for name in ("p50", "p99")
        )
        accuracy = {number: float(np.mean(right)) / ROWS_PER_REQUEST for number, right in sorted(by_version.items())}
        share = {number: len(right) / len(good) for number, right in sorted(by_version.items())}
        return cls(len(done), len(done) - len(good), p50, p99, accuracy, share)


class Load:
    """A context manager that sends requests from ``threads`` threads until it is left."""

    def __init__(
        self, router: Router, stats: RequestStats, images: NDArray[Any], labels: NDArray[Any], *, threads: int = 2
    ) -> None:
        self._router = router
        self._stats = stats
        self._images = images
        self._labels = labels
        self._requests: list[FinishedRequest] = []
        self._failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(seed,), daemon=True) for seed in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def window(self, start: float = 0.0, end: float = float("inf")) -> TrafficSummary:
        """Return the summary of the requests that ended within ``[start, end)`` of ``time.monotonic()``."""
        return TrafficSummary.of(answer for answer in self._requests.copy() if start <= answer.at < end)

    def counts(self) -> tuple[int, int]:
        """Return how many requests have ended, and how many of them failed."""
        return len(self._requests), len(self._failures)

    def first_error(self) -> str:
        """Return the text of the first failed request, empty if none failed."""
        return next(iter(self._failures), "")

    def _run(self, seed: int) -> None:
        chance = np.random.default_rng(seed)
        while not self._stop.is_set():
            self._ask(chance.choice(len(self._labels), ROWS_PER_REQUEST, replace=False))

    def _ask(self, rows: NDArray[Any]) -> None:
        started = time.perf_counter()
        label = self._router.choose()
        try:
            reply = self._router.predict({"image": self._images[rows]}, label=label)
        except TfsDeployError as error:
            seconds = time.perf_counter() - started
            self._requests.append(FinishedRequest(time.monotonic(), seconds, None))
            self._failures.append(error.message)
            self._stats.record(label, seconds, error=True)
            return
        seconds = time.perf_counter() - started
        right = int((reply["label"] == self._labels[rows]).sum())
        self._requests.append(FinishedRequest(time.monotonic(), seconds, reply.version, right))
        self._stats.record(label, seconds)


class LiveCounters:
    """A context manager that shows the counters of a load after a bar's text."""

    def __init__(self, load: Load, bar: ProgressBar) -> None:
        self._load = load
        self._bar = bar
        self._text = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._bar.say(self._text)

    def say(self, text: str) -> None:
        """Replace the text before the counters."""
        self._text = text

    def _run(self) -> None:
        while not self._over.wait(_LOOK):
            self._show()

    def _show(self) -> None:
        requests, errors = self._load.counts()
        self._bar.say(f"{self._text}; {requests - errors:,} ok, {errors:,} failed")
