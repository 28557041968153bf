# SPDX-License-Identifier: Apache-2.0
"""The report of a rollout: one ``StepReport`` for each step, one ``RolloutResult`` at the end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import VerdictError
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.gates.request_stats import RequestCount, WindowSummary, read_counts
from tfs_deploy.rollout.machine.actions import RolloutStatus
from tfs_deploy.rollout.machine.history import elapsed
from tfs_deploy.rollout.machine.narration import REFUSED, note_text, way_on
from tfs_deploy.rollout.machine.phases import ROLLBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.plan import RolloutPlan


@dataclass(frozen=True, slots=True)
class StepReport:
    """One traffic step as it was judged.

    ``number`` counts from 1; ``weight`` is the canary's percent; ``start`` and ``end`` are ``time.monotonic()``
    seconds, for callers that count something of their own in the same window; ``windows`` holds requests, errors
    and latencies in seconds by label; ``verdict`` is the worst of ``verdicts``.
    """

    number: int
    weight: float
    start: float
    end: float
    windows: Mapping[str, WindowSummary]
    verdicts: tuple[GateVerdict, ...]
    verdict: Verdict

    @property
    def seconds(self) -> float:
        """The duration of the step."""
        return self.end - self.start

    @property
    def requests(self) -> int:
        """Requests of all labels in the step."""
        return sum(window.requests for window in self.windows.values())

    @property
    def errors(self) -> int:
        """Failed requests of all labels in the step."""
        return sum(window.errors for window in self.windows.values())

    @property
    def count(self) -> RequestCount:
        """The requests of all labels, and those that failed."""
        return RequestCount(self.requests, self.errors)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "number": self.number,
            "weight": self.weight,
            "seconds": self.seconds,
            "verdict": self.verdict.value,
            "windows": {label: window.as_dict() for label, window in self.windows.items()},
            "verdicts": [
                {"gate": entry.gate, "verdict": entry.verdict.value, "reason": entry.reason} for entry in self.verdicts
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StepReport:
        """Read what ``as_dict`` wrote; monotonic times are not kept, so ``start`` is 0."""
        verdicts = tuple(
            GateVerdict(entry["gate"], Verdict(entry["verdict"]), entry["reason"]) for entry in values["verdicts"]
        )
        windows = {label: WindowSummary.from_dict(window) for label, window in values["windows"].items()}
        verdict = Verdict(values["verdict"])
        return cls(values["number"], values["weight"], 0.0, values["seconds"], windows, verdicts, verdict)


@dataclass(frozen=True, slots=True)
class RolloutResult:
    """How a rollout ended, or stands: ``status``, the one-line ``reason`` unless it is done, versions, steps.

    ``back``: it is a rollback to an earlier version. ``seconds``: from the first entry of the journal to the last (see
    ``history.elapsed``). ``counted``: by label all requests from the beginning to the end, those outside the steps
    included, as far as consumers record them or the caller's source has them; while it runs, up to the last verdict.
    ``synthetic``: they are those of a load generator. ``judges_traffic``: it has steps in which the new version gets
    requests. ``refused``: preflight did not let it begin, and nothing was changed (its ``status`` is ``ROLLED_BACK``);
    ``allowed_by``: the flags with which it would have begun.
    """

    model: str
    old: int
    new: int
    status: RolloutStatus
    reason: str = ""
    steps: tuple[StepReport, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    strategy: str = "canary"
    back: bool = False
    counted: Mapping[str, RequestCount] = field(default_factory=dict)
    synthetic: bool = False
    judges_traffic: bool = False
    refused: bool = False
    allowed_by: tuple[str, ...] = ()

    @property
    def by_label(self) -> Mapping[str, RequestCount]:
        """All requests by label; those of the steps where nothing else was counted (journals of earlier releases)."""
        counted = dict(self.counted)
        for step in self.steps if not self.counted else ():
            for label, window in step.windows.items():
                counted[label] = counted.get(label, RequestCount()) + window.count
        return counted

    @property
    def total(self) -> RequestCount:
        """All requests of the rollout, and those that failed."""
        return sum(self.by_label.values(), RequestCount())

    @property
    def outside(self) -> RequestCount:
        """The requests outside the steps as they were judged: before, between and after them."""
        return self.total - sum((step.count for step in self.steps), RequestCount())

    @property
    def kind(self) -> str:
        """The strategy, or ``rollback``."""
        return ROLLBACK if self.back else self.strategy

    @property
    def done(self) -> bool:
        """Whether the new version is stable now."""
        return self.status is RolloutStatus.DONE

    def check(self, wanted: RolloutStatus = RolloutStatus.DONE) -> None:
        """Raise ``VerdictError`` with the reason unless the rollout ended as wanted."""
        if self.status is RolloutStatus.DONE and wanted is RolloutStatus.ROLLED_BACK:
            message = f"version {self.new} of {self.model} was promoted before the rollout could be aborted"
            raise VerdictError(message, hint="tfs-deploy rollback switches back to the previous version")
        if self.refused and wanted is RolloutStatus.DONE:
            message = f"rollout of {self.model} from version {self.old} to {self.new} {REFUSED}: {self.reason}"
            raise VerdictError(message, hint=way_on(self.new, self.allowed_by))
        if self.status is not wanted:
            message = (
                f"rollout of {self.model} from version {self.old} to {self.new} {self.status.value}: {self.reason}"
            )
            hint = "tfs-deploy rollout resume, promote or abort" if self.status is RolloutStatus.PAUSED else None
            if self.steps and any(entry.unseen for entry in self.steps[-1].verdicts):
                hint = "send requests through Router, which records them, or use --no-require-traffic"
            raise VerdictError(message, hint=hint)

    @classmethod
    def from_events(cls, plan: RolloutPlan, events: Sequence[Event]) -> RolloutResult:
        """Return the result that a journal holds; a rollout without an end is ``RUNNING``."""
        steps: dict[int, StepReport] = {}
        notes: dict[str, None] = {}
        status, reason = RolloutStatus.RUNNING, ""
        refused = False
        allowed_by: tuple[str, ...] = ()
        counted: dict[str, RequestCount] = {}
        synthetic = False
        for event in events:
            if "counted" in event.detail:
                counted, synthetic = read_counts(event.detail["counted"]), bool(event.detail["synthetic"])
            if event.kind == "finish":
                status, reason = RolloutStatus(event.detail["status"]), event.detail["reason"]
                refused = bool(event.detail.get("refused"))
            elif event.kind == "resume":
                status, reason = RolloutStatus.RUNNING, ""
            elif event.kind == "note":
                notes[note_text(event)] = None
            elif event.kind == "outcome" and event.ok and event.action == "judge":
                steps[event.detail["number"]] = StepReport.from_dict(event.detail)
            elif event.kind == "outcome" and event.ok:
                notes.update(dict.fromkeys(event.detail.get("notes", ())))
                allowed_by = tuple(event.detail.get("allowed_by", allowed_by))
        seconds = elapsed(events)[-1] if events else 0.0
        ordered = tuple(steps[number] for number in sorted(steps))
        versions = plan.model, plan.old, plan.new
        traffic = counted, synthetic, bool(plan.steps)
        found = cls(*versions, status, reason, ordered, seconds, tuple(notes), plan.strategy, plan.back, *traffic)
        return replace(found, refused=refused, allowed_by=allowed_by)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "model": self.model,
            "from": self.old,
            "to": self.new,
            "strategy": self.strategy,
            "back": self.back,
            "status": self.status.value,
            "refused": self.refused,
            "reason": self.reason,
            "seconds": self.seconds,
            "requests": {
                label: {"requests": count.requests, "errors": count.errors} for label, count in self.by_label.items()
            },
            "synthetic": self.synthetic,
            "steps": [step.as_dict() for step in self.steps],
            "notes": list(self.notes),
        }
