# SPDX-License-Identifier: Apache-2.0
"""Gates on the answers themselves: requests that fail, answers with NaN or infinite values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict, too_few
from tfs_deploy.rollout.gates.spec import GateKind
from tfs_deploy.rollout.notation import parse_share

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gate import StepView


@dataclass(frozen=True, slots=True)
class ErrorRateGate:
    """Limits the share of failed canary requests to ``max_rate`` (0.0 to 1.0), given ``min_samples`` requests.

    The share that fails on stable is added: requests that no version can answer are not the canary's fault. It fails
    before there are ``min_samples`` once the errors exceed the limit for that many requests.
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
            return too_few(self.name, "canary", window, self.min_samples)
        return GateVerdict(self.name, Verdict.PASS, text)


@dataclass(frozen=True, slots=True)
class FiniteGate:
    """Limits the share of answers with NaN or infinite values to ``max_rate``, above the share of stable's answers."""

    max_rate: float = 0.0
    min_samples: int = 30
    name: str = "finite"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the answers in the window as consumers saw them; it fails before there are ``min_samples``."""
        window, base = step.canary, step.stable
        usual = base.broken / base.requests if base.requests else 0.0
        text = f"{window.broken} of {window.requests} answers contain NaN or infinite values"
        if window.broken > (self.max_rate + usual) * window.requests:
            return GateVerdict(self.name, Verdict.FAIL, text)
        if window.requests < self.min_samples:
            return too_few(self.name, "canary", window, self.min_samples)
        return GateVerdict(self.name, Verdict.PASS, text)


ERRORS: Final = GateKind(
    ("errors",),
    (("errors=1%", "failed requests, beyond stable's share"),),
    lambda _name, setting: {"max_rate": parse_share(setting)},
    lambda options, sources: ErrorRateGate(**options, min_samples=sources.min_samples),
)
FINITE: Final = GateKind(
    ("finite",),
    (("finite=0.1%", "answers with NaN or infinity, beyond stable's share"),),
    lambda _name, setting: {"max_rate": parse_share(setting)},
    lambda options, sources: FiniteGate(**options, min_samples=sources.min_samples),
)
