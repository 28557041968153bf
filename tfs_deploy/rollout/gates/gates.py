"""Gates: pure judgements of one step, each with three answers. Too few samples are never a pass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.machine.observation import GateVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfs_deploy.rollout.machine.observation import CheckResult, Gate, StepView
    from tfs_deploy.rollout.machine.stats import WindowSummary

#: share of requests beyond each quantile, and how many there have to be
_BEYOND: Final = {"p50": 0.5, "p90": 0.1, "p95": 0.05, "p99": 0.01}
_ENOUGH: Final = 5


@dataclass(frozen=True, slots=True)
class GoldenGate:
    """Compares the canary's answers with those recorded at export.

    ``ask`` sends the recorded requests to a label and says whether version ``version`` answered them as recorded.
    """

    ask: Callable[[str, int], CheckResult]
    name: str = "golden"

    def judge(self, step: StepView) -> GateVerdict:
        """Ask the canary label for the recorded answers."""
        result = self.ask(step.label, step.version)
        if not result.ok and result.retriable:
            return GateVerdict(self.name, Verdict.TOO_FEW, result.reason)
        return GateVerdict(self.name, Verdict.PASS if result.ok else Verdict.FAIL, result.reason)


@dataclass(frozen=True, slots=True)
class ErrorRateGate:
    """Limits the share of failed canary requests to ``max_rate`` (0.0 to 1.0), given ``min_samples`` requests.

    The share that fails on stable comes on top: requests that no version can answer are not the canary's fault. It
    fails early, before there are ``min_samples``, once there are more errors than so many requests may have.
    """

    max_rate: float = 0.01
    min_samples: int = 30
    name: str = "errors"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the canary's error rate in the window."""
        window = step.canary
        text = f"{window.errors} of {window.requests} requests failed"
        usual = step.baseline.error_rate if step.baseline.requests >= self.min_samples else 0.0
        limit = self.max_rate + usual
        if window.errors > limit * max(window.requests, self.min_samples):
            above = f" above the {usual:.1%} of stable" if usual else ""
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_rate:.1%}{above}")
        if window.requests < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, _too_few("canary", window, self.min_samples))
        return GateVerdict(self.name, Verdict.PASS, text)


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
            return GateVerdict(self.name, Verdict.TOO_FEW, _too_few("canary", step.canary, self.min_samples))
        text = f"{quantile} {canary * 1000:.1f} ms"
        if self.max_seconds is not None and canary > self.max_seconds:
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_seconds * 1000:.1f} ms")
        if self.max_ratio is None:
            return GateVerdict(self.name, Verdict.PASS, text)
        stable = _quantile(step.baseline, quantile)
        if stable is None or step.baseline.requests < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, _too_few("stable", step.baseline, self.min_samples))
        text = f"{text} against {stable * 1000:.1f} ms of stable"
        if canary > max(self.max_ratio * stable, stable + self.tolerance):
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_ratio:g} x")
        return GateVerdict(self.name, Verdict.PASS, text)


@dataclass(frozen=True, slots=True)
class FiniteGate:
    """Limits the share of answers with NaN or infinite values to ``max_rate``, above the share of stable's answers."""

    max_rate: float = 0.0
    min_samples: int = 30
    name: str = "finite"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge what consumers saw of the answers in the window; it fails before there are ``min_samples``."""
        window, base = step.canary, step.stable
        usual = base.broken / base.requests if base.requests else 0.0
        text = f"{window.broken} of {window.requests} answers hold values that are NaN or infinite"
        if window.broken > (self.max_rate + usual) * window.requests:
            return GateVerdict(self.name, Verdict.FAIL, text)
        if window.requests < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, _too_few("canary", window, self.min_samples))
        return GateVerdict(self.name, Verdict.PASS, text)


def default_gates(min_samples: int = 30, *, comparable: bool = True) -> list[Gate]:
    """Return the gates for live requests: 1 % errors, no NaN, the median within 2 x and p99 within 3 x of stable.

    The tail of a busy machine varies from window to window, hence its wider limits; a model that is slow as such shows
    in the median. Without requests of stable to compare with (``comparable``), latency is not judged.
    """
    alone: list[Gate] = [ErrorRateGate(min_samples=min_samples), FiniteGate(min_samples=min_samples)]
    if not comparable:
        return alone
    return [
        *alone,
        LatencyGate("p50", tolerance=0.002, min_samples=min_samples),
        LatencyGate("p99", max_ratio=3.0, tolerance=0.010, min_samples=min_samples),
    ]


def worst(verdicts: Iterable[GateVerdict]) -> Verdict:
    """Return the verdict of all gates together: one failure fails, then one without samples waits."""
    answers = {entry.verdict for entry in verdicts}
    for verdict in (Verdict.FAIL, Verdict.TOO_FEW):
        if verdict in answers:
            return verdict
    return Verdict.PASS


def _judged(wanted: str, window: WindowSummary) -> str:
    """Return the highest quantile up to the wanted one that has enough requests beyond it."""
    successes = window.requests - window.errors
    allowed = [name for name, beyond in _BEYOND.items() if beyond * successes >= _ENOUGH and name <= wanted]
    return allowed[-1] if allowed else "p50"


def _quantile(window: WindowSummary, name: str) -> float | None:
    """Return a quantile; ``None`` for what is no number, which no limit would ever catch."""
    value = {"p50": window.p50, "p90": window.p90, "p95": window.p95, "p99": window.p99}[name]
    return None if value is None or math.isnan(value) else value


def _too_few(label: str, window: WindowSummary, needed: int) -> str:
    if window.requests >= needed:
        return f"no latencies of {label}"
    return f"{window.requests} requests of {label}, {needed} needed"
