# SPDX-License-Identifier: Apache-2.0
"""The timeline of a rollout from its journal: phases, traffic, judgements; times are seconds since its start."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.machine.history import elapsed
from tfs_deploy.rollout.machine.narration import Narrator
from tfs_deploy.rollout.machine.phases import ROLLBACK, phase_of
from tfs_deploy.rollout.result import StepReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.plan import RolloutPlan


#: actions that send all requests to the new version, or none
_MOVES: Final = ("promote", "calm", "isolate")


@dataclass(frozen=True, slots=True)
class Segment:
    """One phase from its first intention to the next phase."""

    phase: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class TimedJudgement:
    """One judgement and when it was made."""

    at: float
    report: StepReport


@dataclass(frozen=True, slots=True)
class Timeline:
    """A rollout over time; ``traffic``: (time, percent of the new version), ``lines``: the journal in words."""

    seconds: float
    segments: tuple[Segment, ...]
    traffic: tuple[tuple[float, float], ...]
    judged: tuple[TimedJudgement, ...]
    lines: tuple[tuple[float, str], ...]


def timeline(plan: RolloutPlan, events: Sequence[Event]) -> Timeline:
    """Return the timeline of a journal."""
    times = elapsed(events)
    end = times[-1] if times else 0.0
    starts: list[tuple[str, float]] = []
    traffic = [(0.0, 0.0)]
    judged: list[TimedJudgement] = []
    lines: list[tuple[float, str]] = []
    narrator = Narrator(plan)
    promoted = False
    for at, event in zip(times, events, strict=True):
        phase = _phase(plan, event, starts)
        if phase is not None and (not starts or starts[-1][0] != phase):
            starts.append((phase, at))
        if event.kind == "outcome" and event.ok and event.action == "weigh":
            traffic.append((at, plan.steps[event.detail["step"]]))
        elif event.kind == "outcome" and event.ok and event.action in _MOVES:
            promoted = event.action == "promote" or (promoted and event.action == "calm")
            traffic.append((at, 100.0 if promoted else 0.0))
        elif event.kind == "outcome" and event.ok and event.action == "judge":
            judged.append(TimedJudgement(at, StepReport.from_dict(event.detail)))
        line = narrator.line(event)
        if line is not None:
            lines.append((at, line))
    bounds = [*starts, ("", end)]
    segments = tuple(Segment(phase, at, until) for (phase, at), (_, until) in itertools.pairwise(bounds))
    return Timeline(end, segments, tuple(traffic), tuple(judged), tuple(lines))


def _phase(plan: RolloutPlan, event: Event, starts: Sequence[tuple[str, float]]) -> str | None:
    """Return the phase of an intention, ``None`` if it can happen in any phase; a step is named by its percent."""
    if event.kind != "intend":
        return None
    before = {phase for phase, _ in starts}
    phase = phase_of(event.action, going_back=ROLLBACK in before, promoting="promote" in before)
    return f"{plan.steps[event.detail['step']]:g} %" if phase == "step" else phase
