# SPDX-License-Identifier: Apache-2.0
"""The gate on how far the canary's answers are from stable's answers to the same requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.gates.spec import GateKind, positive
from tfs_deploy.rollout.notation import parse_share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.rollout.gates.gate import StepView
    from tfs_deploy.rollout.gates.request_stats import OutputComparison

#: a distance above the one and an agreement below the other mean more than retraining: another order of classes, say
_FAR: Final = 0.5
_MOST: Final = 0.5


@dataclass(frozen=True, slots=True)
class DriftGate:
    """Limits how far the canary's answers are from stable's answers to the same requests.

    ``max_distance``: the mean difference of an output in units of its mean magnitude; ``min_agreement``: the share of
    rows with the same answer (see ``client.routing.comparison``); ``max_broken``: how many values may be NaN or
    infinite where stable's are not. A limit of ``None`` is not judged. ``ask`` sends the requests at hand to both
    labels and returns the comparison by output; where consumers compared copies, their numbers count instead.
    """

    max_distance: float | None = None
    min_agreement: float | None = None
    max_broken: int | None = 0
    min_samples: int = 1
    ask: Callable[[str, str], Mapping[str, OutputComparison]] | None = None
    stable: str = "stable"
    name: str = "drift"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the outputs, the worst one first."""
        found, what = step.canary.compared, "answers"
        if not found and self.ask is not None:
            found, what = self.ask(self.stable, step.label), "answers to replayed requests"
        if not found:
            return GateVerdict(self.name, Verdict.TOO_FEW, "no request was answered by both versions")
        for output, compared in sorted(found.items(), key=lambda entry: -entry[1].distance):
            reason = self._objection(compared)
            if reason is not None:
                return GateVerdict(self.name, Verdict.FAIL, f"output {output!r}: {reason}")
        fewest = min(compared.count for compared in found.values())
        if fewest < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, f"{fewest} {what} compared, {self.min_samples} needed")
        output, worst = max(found.items(), key=lambda entry: entry[1].distance)
        text = f"{worst.count} {what} compared, {output!r} has distance {worst.distance:.3g}"
        reason = f"{text}, agreement {worst.agreement:.1%}"
        return GateVerdict(self.name, Verdict.PASS, reason, remark=self._remark(output, worst, what))

    def _remark(self, output: str, compared: OutputComparison, what: str) -> str:
        """Say that the answers are far from stable's where no limit judges that."""
        limited = self.max_distance is not None or self.min_agreement is not None
        if limited or compared.distance <= _FAR or compared.agreement >= _MOST:
            return ""
        agree = f"{compared.agreement:.0%} of {compared.count} {what} agree with {self.stable}'s in output {output!r}"
        return f"only {agree}, and no gate limits that: --gate agreement=99%, or --gate drift=0.1"

    def _objection(self, compared: OutputComparison) -> str | None:
        if self.max_broken is not None and compared.broken > self.max_broken:
            return f"{compared.broken} values are NaN or infinite where {self.stable}'s are finite"
        if self.max_distance is not None and not compared.distance <= self.max_distance:  # NaN fails
            return f"distance {compared.distance:.3g} from {self.stable}, limit {self.max_distance:g}"
        if self.min_agreement is not None and not compared.agreement >= self.min_agreement:
            return f"agreement {compared.agreement:.1%} with {self.stable}, limit {self.min_agreement:.1%}"
        return None


DRIFT: Final = GateKind(
    ("drift",),
    (("drift=0.1", "distance of the outputs from stable's"),),
    lambda _name, setting: {"max_distance": positive(setting, setting)},
    lambda options, sources: DriftGate(**options, ask=sources.compare),
)
AGREEMENT: Final = GateKind(
    ("agreement",),
    (("agreement=99%", "share of answers that equal stable's"),),
    lambda _name, setting: {"min_agreement": parse_share(setting)},
    lambda options, sources: DriftGate(**options, ask=sources.compare, name="agreement"),
)
