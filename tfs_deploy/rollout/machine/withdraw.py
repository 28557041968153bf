# SPDX-License-Identifier: Apache-2.0
"""The way back: isolate the canary, give stable all traffic, unload the new version. Pure, part of ``decide``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.rollout.machine.actions import (
    Action,
    Apply,
    Finish,
    RestartServer,
    RestoreTraffic,
    RolloutStatus,
    Wait,
    action_text,
)
from tfs_deploy.rollout.machine.observation import LOADING, START

if TYPE_CHECKING:
    from tfs_deploy.rollout.machine.history import History
    from tfs_deploy.rollout.machine.observation import Observation, ServerView
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.rollout.machine.traffic_split import TrafficSplit


def withdraw(plan: RolloutPlan, seen: Observation, past: History) -> Action:
    """Return the next action of a rollback.

    The label moves first: after one reload of a few milliseconds the canary label answers with the old version, before
    any consumer has read the new weights. The files come next, so that a server that is down comes up right.
    """
    stuck = _stuck(plan, seen, past)
    if stuck is not None:
        return stuck
    if not past.touched:  # the files are as they were, and the old version has to serve
        return RestartServer() if seen.ended else Finish(RolloutStatus.ROLLED_BACK, past.reason or "")
    server = seen.server
    if server is not None and seen.gone:  # what is loaded serves on
        return Finish(RolloutStatus.PAUSED, f"{past.reason}; but {lost(plan, seen)}")
    if server is not None and _endangered(plan, server) and "isolate" not in past.intended:
        labels = {**plan.others, plan.stable: plan.old, plan.canary: plan.old}
        return Apply("isolate", plan.versions(plan.old, plan.new), labels)
    if leaks(plan, seen.split) or (past.exposed and past.safe_at is None):
        return RestoreTraffic(plan.safe_split().weights)
    if server is not None and not server.available(plan.old):
        return _restore(plan, seen, server, past)
    if past.exposed and past.safe_at is not None and seen.now - past.safe_at < plan.drain:
        return Wait(plan.poll, "consumers are catching up with the traffic file")
    if seen.ended and "unload" in past.intended:  # the files name the old version only
        return RestartServer()
    return _unload(plan, seen, past)


def lost(plan: RolloutPlan, seen: Observation) -> str:
    """Say that the old version cannot serve any more, and what would heal that."""
    what = f"version {plan.old}, which is {plan.stable}, was unloaded because its directory {seen.gone} is gone"
    return f"{what}: put it back, then rollout resume; or rollout promote --skip-steps makes version {plan.new} stable"


def leaks(plan: RolloutPlan, split: TrafficSplit | None) -> bool:
    """Whether the traffic file sends any request to the canary."""
    return split is not None and split.touches(plan.canary)


def _endangered(plan: RolloutPlan, server: ServerView) -> bool:
    """Whether stable or canary answers with the new version and the old one can take over."""
    return plan.new in server.reached(plan.stable) | server.reached(plan.canary) and server.available(plan.old)


def _stuck(plan: RolloutPlan, seen: Observation, past: History) -> Action | None:
    """Return the wait between two attempts, or the pause when they keep failing."""
    failure = past.failure
    if failure is not None and seen.now - failure.first >= plan.patience:
        what = f"{action_text(failure.action)} keeps failing: {failure.message}"
        return Finish(RolloutStatus.PAUSED, f"{past.reason}; but {what}")
    if failure is not None and failure.action != "isolate" and seen.now - failure.last < plan.poll * 5:
        return Wait(plan.poll, failure.message)
    return None


def _restore(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action:
    """Load the old version again; no label points at it before it is AVAILABLE."""
    applied = past.applied.get("restore")
    if applied is None or seen.now - applied[1] >= max(plan.resend, 1.0):
        if applied is not None and seen.now - applied[0] >= plan.load_timeout:
            state = server.state(plan.old)
            return Finish(
                RolloutStatus.PAUSED, f"{past.reason}; but version {plan.old} did not come back, it is {state}"
            )
        labels = {label: version for label, version in server.labels.items() if server.available(version)}
        keep = (plan.new,) if server.available(plan.new) else ()
        return Apply("restore", plan.versions(plan.old, *keep), labels)
    return Wait(plan.poll, f"version {plan.old} is {server.state(plan.old)}")


def _unload(plan: RolloutPlan, seen: Observation, past: History) -> Action:
    labels = {**plan.others, plan.stable: plan.old}
    if plan.keep_canary:
        labels[plan.canary] = plan.old
    action = Apply("unload", plan.versions(plan.old), labels)
    applied = past.applied.get("unload")
    if applied is None:
        return action
    if seen.server is None:
        if seen.silent_for >= plan.patience:
            return Finish(RolloutStatus.PAUSED, f"{past.reason}; but the server does not answer: {seen.error}")
        return Wait(plan.poll, f"the server does not answer: {seen.error}")
    there = seen.server.state(plan.new) in (START, LOADING) or seen.server.answers(plan.new)
    leaving = there and plan.new not in plan.versions(plan.old)
    if not leaving:
        return Finish(RolloutStatus.ROLLED_BACK, past.reason or "")
    if seen.now - applied[0] >= plan.patience:
        state = seen.server.state(plan.new)
        return Finish(
            RolloutStatus.PAUSED, f"{past.reason}; but version {plan.new} was not unloaded, it is still {state}"
        )
    return action if seen.now - applied[1] >= plan.resend else Wait(plan.poll, f"version {plan.new} is unloading")
