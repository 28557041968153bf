# SPDX-License-Identifier: Apache-2.0
"""The result of a load test, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tfs_deploy.quantiles import QUANTILES, requests_for


@dataclass(frozen=True, slots=True)
class LoadTestResult:
    """The result of one load test of one signature; latencies are in seconds, ascending.

    ``memory`` is the server's peak in bytes, ``cpu`` its average usage in CPUs; ``None`` if its process runs elsewhere.
    """

    model: str
    target: str
    what: str
    latencies: tuple[float, ...]
    errors: int
    seconds: float
    memory: int | None = None
    cpu: float | None = None
    windows: tuple[float, ...] = ()
    stable: bool = True
    last_error: str = ""

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float | None:
        """Return a latency in seconds by the nearest rank, ``None`` without answers."""
        if not self.latencies:
            return None
        rank = max(1, -(-len(self.latencies) * percent // 100))
        return self.latencies[min(int(rank), len(self.latencies)) - 1]

    def quantile(self, name: str) -> float | None:
        """Return a latency quantile (``p99``) in seconds, ``None`` with too few answers for it."""
        return self.percentile(100 * QUANTILES[name]) if len(self.latencies) >= requests_for(name) else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "model": self.model,
            "target": self.target,
            "what": self.what,
            "requests": len(self.latencies),
            "errors": self.errors,
            "seconds": round(self.seconds, 3),
            "throughput": round(self.throughput, 2),
            **{name: self.quantile(name) for name in ("p50", "p90", "p99")},
            "slowest": self.percentile(100),
            "memory": self.memory,
            "cpu": self.cpu,
            "stable": self.stable,
        }
