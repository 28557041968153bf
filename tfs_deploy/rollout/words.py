"""A rollout in words: one line for what just happened, for people who watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.rollout.history import Event
    from tfs_deploy.rollout.plan import Plan


def tell(event: Event, plan: Plan) -> str | None:
    """Return the line for one entry of the journal, ``None`` for entries that say nothing new."""
    if event.kind == "start":
        how = ", ".join(f"{step:g}" for step in plan.steps)
        through = f" through {how} %" if how else ""
        return f"{plan.model}: version {plan.old} to {plan.new}{through}"
    if event.kind == "resume":
        return f"{plan.model}: version {plan.old} to {plan.new} goes on"
    if event.kind == "finish":
        reason = event.detail.get("reason")
        return f"{event.detail['status']}: {reason}" if reason else str(event.detail["status"])
    if event.kind == "intend":
        return f"waiting for version {plan.new} to load" if event.action == "load" else None
    if not event.ok:
        return f"{event.action} failed: {event.detail.get('error', '')}"
    return _done(event.action, event.detail, plan)


def _done(action: str, detail: Mapping[str, Any], plan: Plan) -> str | None:
    if action in ("preflight", "smoke"):
        verdict = "passed" if detail["passed"] else "failed"
        return f"{action} {verdict}" + (f": {detail['reason']}" if detail["reason"] else "")
    if action == "judge":
        gates = "; ".join(f"{entry['gate']} {entry['verdict']}: {entry['reason']}" for entry in detail["verdicts"])
        return f"{detail['weight']:g} %: {detail['verdict']} ({gates})"
    if action == "weigh":
        return f"{plan.steps[detail['step']]:g} % of the traffic goes to {plan.canary}"
    lines = {
        "load": None,
        "label": f"label {plan.canary} points at version {plan.new}",
        "promote": f"label {plan.stable} points at version {plan.new}",
        "calm": f"all traffic goes to {plan.stable}",
        "retire": "the old version was asked to leave" if not plan.keep_old else "the old version stays loaded",
        "withdraw": f"going back to version {plan.old}: {detail.get('reason', '')}",
        "isolate": f"label {plan.canary} answers with version {plan.old} again",
        "revive": "the server was started again",
        "restore": f"version {plan.old} is loaded again",
        "unload": f"version {plan.new} was asked to leave",
    }
    return lines[action]
