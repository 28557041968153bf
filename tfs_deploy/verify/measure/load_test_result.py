"""The result of a load test, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
            **{f"p{percent}": self.percentile(percent) for percent in (50, 90, 99)},
            "memory": self.memory,
            "cpu": self.cpu,
            "stable": self.stable,
        }
