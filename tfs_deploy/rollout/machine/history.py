# SPDX-License-Identifier: Apache-2.0
"""The journal so far, folded into the few facts that decide what comes next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.gates.request_stats import WindowSummary
from tfs_deploy.rollout.machine.actions import RolloutStatus
from tfs_deploy.rollout.machine.phases import PHASES, phase_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: seconds without repetition after which an action counts as new, not as tried again
_STREAK: Final = 60.0


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the journal.

    ``kind``: ``start``, ``resume``, ``intend`` (before an action), ``outcome`` (after it), ``note`` (something seen),
    ``finish``. ``at`` is wall-clock time for people; ``mono`` is this process's monotonic time, which alone is used for
    durations, so a clock that jumps cannot shorten a bake. An entry read back gets the time of reading, so the step
    bakes again. ``uptime`` is the monotonic time of the process that wrote it, comparable within one boot of the
    machine.
    """

    kind: str
    action: str = ""
    ok: bool = True
    detail: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0
    mono: float = 0.0
    uptime: float | None = None


def elapsed(events: Sequence[Event]) -> list[float]:
    """Return for each entry of a journal the seconds since the first one, immune to jumps of the wall clock.

    Between entries of different boots only the wall clock can tell; there a time in the past counts as the present.
    """
    times: list[float] = []
    boot, last = "", None
    for event in events:
        former = boot
        boot = str(event.detail.get("boot", "")) if event.kind in ("start", "resume") else boot
        before = times[-1] if times else 0.0
        if last is not None and event.uptime is not None and former == boot:
            times.append(before + max(0.0, event.uptime - last))
        else:
            times.append(max(event.at - events[0].at, before))
        last = event.uptime
    return times


@dataclass(frozen=True, slots=True)
class Failure:
    """An action that failed last: which, why, whether a retry can help, when it failed first and last."""

    action: str
    message: str
    retriable: bool
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class History:
    """The facts.

    ``intended`` holds when an action was first intended, ``applied`` when it was first and last done in a row of
    repetitions.
    """

    intended: Mapping[str, float] = field(default_factory=dict)
    applied: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    preflight: bool | None = None  # whether it passed, None before its verdict
    smoked: bool | None = None
    check_reason: str = ""  # why preflight or smoke did not pass
    stale_failure: bool = False  # the new version had ended in an error before the load
    step: int = -1  # the step whose weights are set, counted from 0
    step_at: float = 0.0
    passed: int = 0  # steps passed
    judged_at: float | None = None  # last verdict in this step
    verdict: Verdict | None = None
    verdict_reason: str = ""
    lenient: bool = False  # too few requests passed already in the last verdict
    fails: int = 0
    baseline: WindowSummary = field(default_factory=WindowSummary)
    memory: int | None = None  # bytes of the server's process before the first step, or when first known
    approved: bool = False  # a person approved the promotion
    skip: bool = False  # and to skip the remaining steps
    rank: tuple[int, int] = (-1, 0)  # the last phase that was entered: its place in ``PHASES``, and the step
    safe_at: float | None = None  # since when all traffic goes to stable again
    reason: str | None = None  # why the new version is withdrawn
    failure: Failure | None = None
    finished: RolloutStatus | None = None
    finish_reason: str = ""
    refused: bool = False  # preflight ended it, and nothing was changed

    @property
    def touched(self) -> bool:
        """Whether anything may have been asked of the server."""
        return "load" in self.intended

    @property
    def exposed(self) -> bool:
        """Whether the canary may have had traffic."""
        return "weigh" in self.intended

    @property
    def phase(self) -> str:
        """The phase that was entered last, empty before the first."""
        return PHASES[self.rank[0]] if self.rank[0] >= 0 else ""

    def rank_of(self, action: str, step: int) -> tuple[int, int] | None:
        """Return where an action stands in the order of phases, ``None`` for one that fits any phase.

        One that is not beyond ``rank`` is a repetition, for example after a restart, and enters no phase.
        """
        phase = phase_of(action, going_back=self.reason is not None, promoting="promote" in self.intended)
        return None if phase is None else (PHASES.index(phase), step)

    def after(self, event: Event) -> History:
        """Return the facts after one more entry."""
        if event.kind == "intend":
            first = self.intended.get(event.action, event.mono)
            rank = self.rank_of(event.action, int(event.detail.get("step", 0))) or self.rank
            return replace(self, intended={**self.intended, event.action: first}, rank=max(rank, self.rank))
        if event.kind == "resume":
            return _resumed(self, event.mono)
        if event.kind == "finish":
            status = RolloutStatus(event.detail["status"])
            refused = bool(event.detail.get("refused"))
            return replace(self, finished=status, finish_reason=str(event.detail.get("reason", "")), refused=refused)
        if event.kind == "outcome":
            return _succeeded(self, event) if event.ok else replace(self, failure=_failure(self, event))
        return self


def _resumed(past: History, mono: float) -> History:
    """Return the facts after a resume: the step bakes again from its beginning, a failing verdict stays."""
    verdict = past.verdict if past.verdict is Verdict.FAIL else None
    fresh = replace(past, finished=None, finish_reason="", failure=None)
    return replace(fresh, step_at=mono, judged_at=None, verdict=verdict)


def _failure(past: History, event: Event) -> Failure:
    same = past.failure is not None and past.failure.action == event.action
    first = past.failure.first if same and past.failure is not None else event.mono
    retriable = bool(event.detail.get("retriable"))
    return Failure(event.action, str(event.detail.get("error", "")), retriable, first, event.mono)


def _succeeded(past: History, event: Event) -> History:
    first, last = past.applied.get(event.action, (event.mono, event.mono))
    if event.mono - last > _STREAK:
        first = event.mono
    new = replace(past, failure=None, applied={**past.applied, event.action: (first, event.mono)})
    detail = event.detail
    if event.action == "preflight":
        return replace(new, preflight=bool(detail["passed"]), check_reason=str(detail["reason"]))
    if event.action == "smoke":
        return replace(new, smoked=bool(detail["passed"]), check_reason=str(detail["reason"]))
    if event.action == "load" and "load" not in past.applied:
        return replace(new, stale_failure=bool(detail["stale_failure"]))
    if event.action in ("weigh", "judge") and new.memory is None:
        new = replace(new, memory=detail.get("memory"))
    if event.action == "weigh":
        return _weighed(new, int(detail["step"]), event.mono)
    if event.action == "approve":
        return replace(new, approved=True, skip=new.skip or bool(detail["skip"]))
    if event.action == "calm":
        return replace(new, safe_at=event.mono)
    if event.action == "judge":
        return _judged(new, event)
    if event.action == "withdraw":
        return replace(new, reason=str(detail["reason"]))
    return new


def _weighed(past: History, step: int, mono: float) -> History:
    if step == past.step:  # the same weights again, after the file was removed
        return past
    return replace(past, step=step, step_at=mono, judged_at=None, verdict=None, lenient=False, fails=0, safe_at=None)


def _judged(past: History, event: Event) -> History:
    detail = event.detail
    verdict = Verdict(detail["verdict"])
    passed = verdict is Verdict.PASS and bool(detail["final"])
    return replace(
        past,
        judged_at=event.mono,
        verdict=verdict,
        verdict_reason=str(detail["reason"]),
        lenient=bool(detail.get("lenient")),
        fails=past.fails + 1 if verdict is Verdict.FAIL else 0,
        passed=past.passed + 1 if passed else past.passed,
        baseline=WindowSummary.from_dict(detail["baseline"]),
    )
