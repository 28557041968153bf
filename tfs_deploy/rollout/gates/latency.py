"""The gate on a latency quantile, absolute or relative to stable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict, too_few
from tfs_deploy.rollout.gates.spec import GateKind, positive
from tfs_deploy.rollout.notation import parse_seconds

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gate import StepView
    from tfs_deploy.rollout.gates.request_stats import WindowSummary

#: share of requests beyond each quantile, and how many there have to be
_BEYOND: Final = {"p50": 0.5, "p90": 0.1, "p95": 0.05, "p99": 0.01}
_ENOUGH: Final = 5


@dataclass(frozen=True, slots=True)
class LatencyGate:
    """Limits a latency quantile (``p50``, ``p90``, ``p95`` or ``p99``) of the canary.

    Absolute: at most ``max_seconds``. Relative: at most ``max_ratio`` times stable's in the same window, where a
    difference under ``tolerance`` seconds never counts. Either may be ``None``.

    A quantile is only as good as the requests beyond it: with fewer than five of them, the next lower quantile is
    judged instead (p99 needs 500 requests, p95 100, p90 50), so that one slow request does not decide.
    """

    quantile: str = "p99"
    max_seconds: float | None = None
    max_ratio: float | None = 2.0
    tolerance: float = 0.005
    min_samples: int = 30

    @property
    def name(self) -> str:
        """The quantile, as reports show it."""
        return self.quantile

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the canary's latency in the window."""
        quantile = _judged(self.quantile, step.canary)
        canary = _quantile(step.canary, quantile)
        if canary is None or step.canary.requests < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, too_few("canary", step.canary, self.min_samples))
        text = f"{quantile} {canary * 1000:.1f} ms"
        if self.max_seconds is not None and canary > self.max_seconds:
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_seconds * 1000:.1f} ms")
        if self.max_ratio is None:
            return GateVerdict(self.name, Verdict.PASS, text)
        stable = _quantile(step.baseline, quantile)
        if stable is None or step.baseline.requests < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, too_few("stable", step.baseline, self.min_samples))
        text = f"{text} against {stable * 1000:.1f} ms of stable"
        if canary > max(self.max_ratio * stable, stable + self.tolerance):
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_ratio:g} x")
        return GateVerdict(self.name, Verdict.PASS, text)


def _judged(wanted: str, window: WindowSummary) -> str:
    """Return the highest quantile up to the wanted one that has enough requests beyond it."""
    successes = window.requests - window.errors
    allowed = [name for name, beyond in _BEYOND.items() if beyond * successes >= _ENOUGH and name <= wanted]
    return allowed[-1] if allowed else "p50"


def _quantile(window: WindowSummary, name: str) -> float | None:
    """Return a quantile; ``None`` for NaN, which no limit would ever catch."""
    value = {"p50": window.p50, "p90": window.p90, "p95": window.p95, "p99": window.p99}[name]
    return None if value is None or math.isnan(value) else value


def _read(name: str, setting: str) -> dict[str, Any]:
    if setting.endswith("x"):
        return {"quantile": name, "max_ratio": positive(setting.removesuffix("x"), setting), "tolerance": 0.002}
    return {"quantile": name, "max_seconds": parse_seconds(setting), "max_ratio": None}


LATENCY: Final = GateKind(
    tuple(_BEYOND),
    (("p50|p90|p95|p99=50ms", "latency, or relative to stable: p99=1.5x"),),
    _read,
    lambda options, sources: LatencyGate(**options, min_samples=sources.min_samples),
)
