# SPDX-License-Identifier: Apache-2.0
"""A rollout in words: one line for each entry of the journal, for people who watch."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.machine.actions import action_text
from tfs_deploy.rollout.machine.phases import ROLLBACK
from tfs_deploy.rollout.machine.strategies import AB, CANARY, SHADOW

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.plan import RolloutPlan

#: how a rollout ends that preflight did not let begin
REFUSED: Final = "refused: nothing was changed"
#: seconds after which a step that still waits for the same samples is told of again
_AGAIN: Final = 60.0


class Narrator:
    """Tells one rollout, entry by entry; a wait for samples is told when its reason changes, and once a minute."""

    def __init__(self, plan: RolloutPlan) -> None:
        self._plan = plan
        self._reason = ""
        self._told = self._begun = 0.0

    def line(self, event: Event) -> str | None:
        """Return the line for the next entry, ``None`` for an entry that says nothing new."""
        line = narrate(event, self._plan)
        if event.kind == "outcome" and event.action == "weigh":
            self._begun = event.at
        if line is None:
            return None
        if event.kind != "outcome" or event.detail.get("verdict") != Verdict.TOO_FEW.value:
            self._reason = ""
            return line
        reason = re.sub(r"\d+", "", line)  # the counts are others at every look
        again = reason == self._reason
        if again and 0 <= event.at - self._told < _AGAIN:
            return None
        self._reason, self._told = reason, event.at
        return f"{line}; {self._left(event):.0f} s left" if again else line

    def _left(self, event: Event) -> float:
        plan = self._plan
        wait = plan.bake + (plan.samples_timeout if event.detail["final"] else 0.0)
        return max(0.0, self._begun + wait - event.at)


def narrate(event: Event, plan: RolloutPlan) -> str | None:
    """Return the line for one entry of the journal, ``None`` for an entry that says nothing new."""
    if event.kind == "start":
        how = ", ".join(f"{step:g}" for step in plan.steps)
        through = f" through {how} %" if how else ""
        kind = "" if plan.strategy == CANARY or not plan.steps else f", {plan.strategy}"
        kind = f", {ROLLBACK}" if plan.back else kind
        return f"{plan.model}: version {plan.old} to {plan.new}{through}{kind}"
    if event.kind == "resume":
        return f"{plan.model}: version {plan.old} to {plan.new} resumed"
    if event.kind == "note":
        return note_text(event)
    if event.kind == "finish" and event.detail.get("refused"):
        return REFUSED
    if event.kind == "finish":
        reason = event.detail.get("reason")
        return f"{event.detail['status']}: {reason}" if reason else str(event.detail["status"])
    if event.kind == "intend":
        return f"waiting for version {plan.new} to load" if event.action == "load" else None
    if not event.ok:
        return f"{action_text(event.action)} failed: {event.detail.get('error', '')}"
    return _done(event.action, event.detail, plan)


def unseen_traffic(plan: RolloutPlan, last_seen: float | None = None) -> str:
    """Say that no consumer records its requests, so that no step sees any; empty where one does, or without steps.

    ``last_seen``: when a consumer wrote last, in seconds since the epoch.
    """
    if plan.recorded or not plan.steps:
        return ""
    earlier = ""
    if last_seen is not None:
        earlier = f" now (the last was seen at {datetime.fromtimestamp(last_seen, timezone.utc):%Y-%m-%d %H:%M:%S} UTC)"
    text = f"no consumer records its requests of {plan.model}{earlier}, so the traffic of {plan.canary} is not seen"
    return f"{text}; each step waits for requests" if plan.require_traffic else f"{text} and not judged"


def way_on(version: int, allowed_by: Sequence[str]) -> str:
    """Say how a version that preflight refuses can be rolled out; ``allowed_by``: the flags that allow all of it."""
    mend = f"mend version {version}, or export it again"
    return f"{mend}; or repeat rollout start with {' '.join(allowed_by)}" if allowed_by else mend


def unlimited_answers(plan: RolloutPlan) -> str:
    """Say that no gate limits how far the new version's answers are from the old one's; empty where one does."""
    if (
        plan.back
        or not plan.steps
        or plan.strategy == AB
        or {spec.kind for spec in plan.gates} & {"drift", "agreement"}
    ):
        return ""
    text = f"no gate limits how far the answers of version {plan.new} are from those of version {plan.old}"
    return f"{text}: --gate agreement=99%, or --gate drift=0.1"


def note_text(event: Event) -> str:
    """Return the text of a note."""
    if event.action == "outage":
        return f"{event.detail.get('who', 'the server')} did not answer for {event.detail['seconds']:.1f} s"
    return str(event.detail.get("text", ""))


def _gates(judged: Mapping[str, Any]) -> str:
    """Return the gates that passed a step and those without a judgement, or those that decided otherwise."""
    passing = judged["verdict"] == Verdict.PASS.value
    deciding = [entry for entry in judged["verdicts"] if entry["verdict"] == judged["verdict"]]
    if not passing:
        return _reasons(deciding)
    skipped = [entry for entry in judged["verdicts"] if entry["verdict"] == Verdict.NOT_JUDGED.value]
    names = ", ".join(entry["gate"] for entry in deciding)
    return f"{names}; {Verdict.NOT_JUDGED.value}: {_reasons(skipped)}" if skipped else names


def _reasons(entries: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{entry['gate']}: {entry['reason']}" for entry in entries)


def _done(action: str, detail: Mapping[str, Any], plan: RolloutPlan) -> str | None:
    if action == "preflight" and not detail["passed"]:
        return "preflight failed"  # the end tells why
    if action in ("preflight", "smoke"):
        verdict = "passed" if detail["passed"] else "failed"
        return f"{action} {verdict}" + (f": {detail['reason']}" if detail["reason"] else "")
    if action == "judge":
        if detail["verdict"] == Verdict.PASS.value and not detail["final"]:
            return None  # the same in every check of a long step
        return f"{detail['weight']:g} %: {detail['verdict']} ({_gates(detail)})"
    if action == "weigh":
        what = "requests are copied" if plan.strategy == SHADOW else "traffic goes"
        return f"{plan.steps[detail['step']]:g} % of the {what} to {plan.canary}"
    if action == "prune":
        return str(detail["notes"][0])
    lines = {
        "load": None,
        "label": f"label {plan.canary} points at version {plan.new}",
        "promote": f"label {plan.stable} points at version {plan.new}",
        "calm": f"all traffic goes to {plan.stable}",
        "approve": "approved" + (", the remaining steps are skipped" if detail.get("skip") else ""),
        "retire": "unloading the old version" if not plan.keep_old else "the old version stays loaded",
        "withdraw": f"rolling back to version {plan.old}: {detail.get('reason', '')}",
        "isolate": f"label {plan.canary} answers with version {plan.old} again",
        "revive": "the server was restarted",
        "restore": None if detail.get("again") else f"loading version {plan.old} again",
        "rescue": f"all requests of {plan.stable} go to {plan.canary}",
        "unload": f"unloading version {plan.new}",
    }
    return lines[action]
