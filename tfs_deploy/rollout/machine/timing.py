# SPDX-License-Identifier: Apache-2.0
"""How long a rollout takes at least, and how soon a fault is rolled back. Pure, from the plan alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfs_deploy.rollout.machine.plan import RolloutPlan

#: seconds between two looks of a router at the traffic file (client.routing.traffic_split), and for a label move
_FOLLOW: Final = 0.2
_RELOAD: Final = 0.1


@dataclass(frozen=True, slots=True)
class PhaseTime:
    """One phase: what happens in it, and its minimum of seconds, without loading and requests."""

    phase: str
    what: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Timing:
    """The phases of a plan and the times that follow from them, in seconds.

    ``promote``: from the start to the label move at the earliest, without loading and requests. ``done``: to the end.
    ``notice``: from a fault in a step to its failing verdict at the latest, given enough samples. ``back``: from that
    verdict to the last answer of the new version.
    """

    phases: tuple[PhaseTime, ...]
    promote: float
    done: float
    notice: float
    back: float


def timing(plan: RolloutPlan) -> Timing:
    """Return the times of a plan."""
    steps = [PhaseTime("step", f"{_traffic(plan, step)}, then the gates", plan.bake) for step in range(len(plan.steps))]
    leaving = f"; {plan.told_leaving()}" if plan.leaving else ""
    before = [
        PhaseTime("preflight", f"the files of version {plan.new}", 0.0),
        PhaseTime("load", f"version {plan.new} beside version {plan.old}{leaving}", 0.0),
        PhaseTime("smoke", f"version {plan.new} answers by number, over every transport", 0.0),
    ]
    if plan.pull_from:
        before.insert(0, PhaseTime("pull", f"version {plan.new} out of {plan.pull_from}", 0.0))
    if plan.steps:
        before.append(PhaseTime("label", f"{plan.canary} points at version {plan.new}", _RELOAD))
    if plan.needs_approval:
        steps.append(PhaseTime("approval", "a person approves: rollout promote", 0.0))
    settle = max(plan.drain if plan.steps else 0.0, plan.keep_warm)
    kept = f"version {plan.old} stays loaded" if plan.keep_old else f"version {plan.old} is unloaded"
    after = [
        PhaseTime("promote", f"{plan.stable} points at version {plan.new}", _RELOAD),
        PhaseTime("settle", f"consumers catch up; version {plan.old} stays loaded, a rollback is one reload", settle),
        PhaseTime("retire", kept, _RELOAD),
    ]
    promote = sum(entry.seconds for entry in (*before, *steps)) + _RELOAD
    done = sum(entry.seconds for entry in (*before, *steps, *after))
    notice = min(plan.check_every, plan.bake) if plan.fail_after == 1 else plan.check_every * plan.fail_after
    return Timing((*before, *steps, *after), promote, done, notice, _RELOAD + _FOLLOW)


def _traffic(plan: RolloutPlan, step: int) -> str:
    split = plan.split(step)
    if split.copies:
        return f"copies of {split.copies[plan.canary]:g} % of the requests to {plan.canary}"
    return f"{split.weights[plan.canary]:g} % of the requests to {plan.canary}"
