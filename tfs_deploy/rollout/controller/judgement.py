# SPDX-License-Identifier: Apache-2.0
"""One judgement of a step: collect the numbers, ask every gate, sum up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.rollout.gates.gate import TRAFFIC, GateVerdict, StepView, Verdict, worst
from tfs_deploy.rollout.gates.request_stats import WindowSummary
from tfs_deploy.rollout.result import StepReport
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.rollout.controller.world import RequestSource
    from tfs_deploy.rollout.gates.gate import Gate
    from tfs_deploy.rollout.machine.plan import RolloutPlan

#: stable's own window is compared with if it has this many requests, and this share of the canary's
_ENOUGH = 100
_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Judgement:
    """The report of a step, the deciding reasons in one line, and stable's slowest window so far."""

    report: StepReport
    reason: str
    baseline: WindowSummary


def judge_step(
    plan: RolloutPlan,
    step: int,
    window: tuple[float, float],
    gates: Sequence[Gate],
    requests: RequestSource | None,
    baseline: WindowSummary,
    memory: tuple[int, int] | None = None,
    *,
    lenient: bool = False,
) -> Judgement:
    """Ask all gates about ``window`` (start and end in monotonic seconds) of a step, counted from 0.

    ``baseline`` is stable's slowest window of the earlier steps. It stands in where stable has next to no traffic left;
    the slowest, because the machine was loaded differently in other windows. ``memory``: see ``StepView``.
    ``lenient``: see ``Judge``.
    """
    windows, verdicts = _numbers(requests, window)
    stable = windows.get(plan.stable, WindowSummary())
    canary = windows.get(plan.canary, WindowSummary())
    side_by_side = stable.requests >= max(min(_ENOUGH, baseline.requests), _SHARE * canary.requests)
    view = StepView(
        model=plan.model,
        version=plan.new,
        label=plan.canary,
        weight=plan.steps[step],
        canary=canary,
        stable=stable,
        baseline=stable if side_by_side else baseline,
        seconds=window[1] - window[0],
        memory=memory,
    )
    verdicts += _traffic(plan, view) if requests is not None and not verdicts else []
    verdicts += [_ask(gate, view) for gate in gates]
    if lenient:
        verdicts = [replace(entry, verdict=Verdict.NOT_JUDGED) if entry.sparse else entry for entry in verdicts]
    verdict = worst(verdicts)
    report = StepReport(step + 1, view.weight, *window, windows, tuple(verdicts), verdict)
    deciding = [entry for entry in verdicts if entry.verdict is verdict and verdict is not Verdict.PASS]
    reason = "; ".join(f"{entry.gate} gate: {entry.reason}" for entry in deciding)
    return Judgement(report, reason, baseline.slowest(stable) if side_by_side else baseline)


def _numbers(
    requests: RequestSource | None, window: tuple[float, float]
) -> tuple[Mapping[str, WindowSummary], list[GateVerdict]]:
    if requests is None:
        return {}, []
    try:
        windows = dict(requests.window(*window))
    except Exception as error:  # noqa: BLE001 - whatever a caller's source raises, the canary must be watched
        return {}, [GateVerdict("requests", Verdict.TOO_FEW, f"no numbers: {_text(error)}")]
    odd = next((summary for summary in windows.values() if not isinstance(summary, WindowSummary)), None)
    if odd is not None:
        return {}, [GateVerdict("requests", Verdict.TOO_FEW, one_line(f"no numbers: {odd!r} is not a WindowSummary"))]
    return windows, []


def _traffic(plan: RolloutPlan, view: StepView) -> list[GateVerdict]:
    """Return the verdict on a canary that got no request, nothing where it got one: silence is no sign of health."""
    if view.canary.requests or view.canary.compared:
        return []
    verdict = Verdict.TOO_FEW if plan.require_traffic else Verdict.NOT_JUDGED
    others = f", {view.stable.requests} reached {plan.stable}" if view.stable.requests else ""
    return [GateVerdict(TRAFFIC, verdict, f"no request reached {plan.canary}{others}")]


def _ask(gate: Gate, view: StepView) -> GateVerdict:
    try:
        verdict: Any = gate.judge(view)
    except Exception as error:  # noqa: BLE001 - the same for a caller's gate
        return GateVerdict(gate.name, Verdict.TOO_FEW, f"no answer: {_text(error)}")
    if not isinstance(verdict, GateVerdict) or not isinstance(verdict.verdict, Verdict):
        return GateVerdict(gate.name, Verdict.TOO_FEW, one_line(f"not a GateVerdict: {verdict!r}"))
    return replace(verdict, reason=one_line(str(verdict.reason)))


def _text(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}")
