"""Gates on the server's memory and on how far the canary's answers are from stable's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.machine.observation import GateVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.rollout.machine.observation import StepView
    from tfs_deploy.rollout.machine.stats import Compared

_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class MemoryGate:
    """Limits the memory of the server's process.

    ``max_growth``: by which share it may have grown since before the first step, when both versions were loaded
    already; a growth under ``tolerance`` bytes never counts. ``max_bytes``: what it may use. Either may be ``None``.
    """

    max_growth: float | None = 0.5
    max_bytes: int | None = None
    tolerance: int = 512 * _MEGABYTE
    name: str = "memory"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the memory in use now."""
        if step.memory is None:
            return GateVerdict(self.name, Verdict.TOO_FEW, "the memory of the server's process is not known")
        before, now = step.memory
        text = f"{now / _MEGABYTE:.0f} MB, {(now - before) / _MEGABYTE:+.0f} since the first step"
        if self.max_bytes is not None and now > self.max_bytes:
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_bytes / _MEGABYTE:.0f} MB")
        if self.max_growth is not None and now - before > max(self.max_growth * before, self.tolerance):
            limit = max(self.max_growth * before, self.tolerance) / _MEGABYTE
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {limit:+.0f} MB")
        return GateVerdict(self.name, Verdict.PASS, text)


@dataclass(frozen=True, slots=True)
class DriftGate:
    """Limits how far the canary's answers are from stable's answers to the same requests.

    ``max_distance``: the mean difference of an output in units of its mean magnitude; ``min_agreement``: the share of
    rows with the same answer (see ``comparing.Difference``); ``max_broken``: the values that may be NaN or infinite
    where stable's are not. Limits that are ``None`` are not judged. ``ask`` sends requests that are at hand to both
    labels and returns the comparison by output; where consumers compared copies, their numbers count instead.
    """

    max_distance: float | None = None
    min_agreement: float | None = None
    max_broken: int | None = 0
    min_samples: int = 1
    ask: Callable[[str, str], Mapping[str, Compared]] | None = None
    stable: str = "stable"
    name: str = "drift"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the outputs, the worst one first."""
        found = step.canary.compared
        if not found and self.ask is not None:
            found = self.ask(self.stable, step.label)
        if not found:
            return GateVerdict(self.name, Verdict.TOO_FEW, "no answers of both versions to the same request")
        for output, compared in sorted(found.items(), key=lambda entry: -entry[1].distance):
            reason = self._objection(compared)
            if reason is not None:
                return GateVerdict(self.name, Verdict.FAIL, f"output {output!r}: {reason}")
        fewest = min(compared.count for compared in found.values())
        if fewest < self.min_samples:
            return GateVerdict(self.name, Verdict.TOO_FEW, f"{fewest} answers compared, {self.min_samples} needed")
        output, worst = max(found.items(), key=lambda entry: entry[1].distance)
        text = f"{worst.count} answers compared, {output!r} has distance {worst.distance:.3g}"
        return GateVerdict(self.name, Verdict.PASS, f"{text}, agreement {worst.agreement:.1%}")

    def _objection(self, compared: Compared) -> str | None:
        if self.max_broken is not None and compared.broken > self.max_broken:
            return f"{compared.broken} values are NaN or infinite that are not with {self.stable}"
        if self.max_distance is not None and not compared.distance <= self.max_distance:  # NaN is no distance
            return f"distance {compared.distance:.3g} from {self.stable}, limit {self.max_distance:g}"
        if self.min_agreement is not None and not compared.agreement >= self.min_agreement:
            return f"agreement {compared.agreement:.1%} with {self.stable}, limit {self.min_agreement:.1%}"
        return None
