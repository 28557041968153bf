# SPDX-License-Identifier: Apache-2.0
"""The gate on a latency quantile, absolute or relative to stable."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.quantiles import QUANTILES, requests_for
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict, too_few
from tfs_deploy.rollout.gates.spec import GateKind, positive
from tfs_deploy.rollout.notation import parse_seconds

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gate import StepView
    from tfs_deploy.rollout.gates.request_stats import WindowSummary


@dataclass(frozen=True, slots=True)
class LatencyGate:
    """Limits a latency quantile (``p50``, ``p90``, ``p95`` or ``p99``) of the canary.

    Absolute: at most ``max_seconds``. Relative: at most ``max_ratio`` times stable's in the same window, where a
    difference under ``tolerance`` seconds never counts. Either may be ``None``.

    A quantile is only as good as the requests beyond it: five of them are needed, so that one slow request does not
    decide (p99 needs 500 requests, p95 100, p90 50). With fewer the verdict is ``TOO_FEW``; of an ``optional`` gate it
    is ``NOT_JUDGED`` once there are ``min_samples``.
    """

    quantile: str = "p99"
    max_seconds: float | None = None
    max_ratio: float | None = 2.0
    tolerance: float = 0.005
    min_samples: int = 30
    optional: bool = False

    @property
    def name(self) -> str:
        """The quantile, as reports show it."""
        return self.quantile

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the canary's latency in the window."""
        missing = self._missing("canary", step.canary)
        canary = _quantile(step.canary, self.quantile)
        if missing is not None or canary is None:
            return missing or too_few(self.name, "canary", step.canary, 0)
        text = f"{self.quantile} {canary * 1000:.1f} ms"
        if self.max_seconds is not None and canary > self.max_seconds:
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_seconds * 1000:.1f} ms")
        if self.max_ratio is None:
            return GateVerdict(self.name, Verdict.PASS, text)
        missing = self._missing("stable", step.baseline)
        stable = _quantile(step.baseline, self.quantile)
        if missing is not None or stable is None:
            return missing or too_few(self.name, "stable", step.baseline, 0)
        text = f"{text} against {stable * 1000:.1f} ms of stable"
        if canary > max(self.max_ratio * stable, stable + self.tolerance):
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_ratio:g} x")
        return GateVerdict(self.name, Verdict.PASS, text)

    def _missing(self, label: str, window: WindowSummary) -> GateVerdict | None:
        """Return the verdict on a window with too few answers for the quantile, ``None`` if there are enough."""
        needed = max(self.min_samples, requests_for(self.quantile))
        answered = window.requests - window.errors
        if answered >= needed:
            return None
        verdict = too_few(self.name, label, replace(window, requests=answered), needed)
        skipped = self.optional and answered >= self.min_samples
        return replace(verdict, verdict=Verdict.NOT_JUDGED) if skipped else verdict


def _quantile(window: WindowSummary, name: str) -> float | None:
    """Return a quantile; ``None`` for NaN, which no limit would ever catch."""
    value: float | None = getattr(window, name)
    return None if value is None or math.isnan(value) else value


def _read(name: str, setting: str) -> dict[str, Any]:
    if setting.endswith("x"):
        return {"quantile": name, "max_ratio": positive(setting.removesuffix("x"), setting), "tolerance": 0.002}
    return {"quantile": name, "max_seconds": parse_seconds(setting), "max_ratio": None}


LATENCY: Final = GateKind(
    tuple(QUANTILES),
    (("p50|p90|p95|p99=50ms", "latency, or relative to stable: p99=1.5x"),),
    _read,
    lambda options, sources: LatencyGate(**options, min_samples=sources.min_samples),
)
