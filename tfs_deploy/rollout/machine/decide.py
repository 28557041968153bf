# SPDX-License-Identifier: Apache-2.0
"""The state machine: the plan, what is seen and what has been done decide the one next action. Pure.

::

    preflight -> load -> smoke -> label -> step ... step -> approval -> promote -> settle -> retire -> prune -> DONE
        |          |       |        |        |                 |           |         |         |
        |          |       |        |        |                PAUSED       |         |      PAUSED: once the old version
        v          v       v        v        v                 v           v         v      may be gone, only a person
     refused       +-------+--------+--------+-----------------+-----------+---------+      can tell what is right
                                  Withdraw(reason)
                                         |
        isolate -> restore traffic -> (restore old version) -> drain -> unload -> ROLLED_BACK       (``withdraw``)

A version that preflight refuses ends the rollout as ``ROLLED_BACK``, with nothing to move back.

What rolls a rollout back: at any time what ``_stop_reason`` lists (an abort, an action that keeps failing, a server
that has ended or stays silent, an old version that is not AVAILABLE, a full disk), and in a phase what its function
here returns as ``Withdraw``. Each phase looks at what the server says first, so it notices an action that was done
but not recorded, and one that was recorded but undone by a restart. A pause ends with ``resume``, which goes on where
the journal ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.machine.actions import (
    Action,
    Apply,
    Approve,
    Finish,
    Judge,
    Preflight,
    Prune,
    Rescue,
    RestartServer,
    RestoreTraffic,
    RolloutStatus,
    SetTraffic,
    Smoke,
    Wait,
    Withdraw,
    action_text,
)
from tfs_deploy.rollout.machine.observation import LOADING, START
from tfs_deploy.rollout.machine.strategies import AB
from tfs_deploy.rollout.machine.withdraw import leaks, lost, withdraw

if TYPE_CHECKING:
    from tfs_deploy.rollout.machine.history import History
    from tfs_deploy.rollout.machine.observation import Observation, ServerView
    from tfs_deploy.rollout.machine.plan import RolloutPlan

#: seconds after a load within which a failure that was there before is not taken for a new one
_STALE = 5.0


def decide(plan: RolloutPlan, seen: Observation, past: History) -> Action:
    """Return the next action."""
    if past.finished is not None:
        return Finish(past.finished, past.finish_reason)
    if seen.request == "pause":
        return Finish(RolloutStatus.PAUSED, "a pause was requested")
    if past.reason is not None:
        return withdraw(plan, seen, past)
    interruption = _rescue(plan, seen, past) or _interrupt(plan, seen, past)
    if interruption is not None:
        return interruption
    if seen.request in ("promote", "promote-now") and not _approved(seen.request, past):
        return Approve(skip=seen.request == "promote-now")
    if seen.server is None or seen.silent:
        return Wait(plan.poll, seen.error)
    for phase in (_preflight, _load, _smoke, _label, _step, _approval, _promote, _settle, _retire, _prune):
        action = phase(plan, seen, seen.server, past)
        if action is not None:
            return action
    return Finish(RolloutStatus.DONE)


def _approved(request: str, past: History) -> bool:
    return past.skip if request == "promote-now" else past.approved


def _rescue(plan: RolloutPlan, seen: Observation, past: History) -> Action | None:
    """Keep what is loaded serving where the files of the old version are gone; a person has to tell what is right.

    No reload can help: the server would only drop the label ``stable``, which leads to the old version again once its
    files are back.
    """
    server = seen.server
    if server is None or not _is_lost(plan, seen, past) or seen.request == "abort":
        return None
    serves = server.available(plan.new) and server.labels.get(plan.canary) == plan.new
    if serves and seen.split != plan.rescue_split():
        return Rescue(plan.rescue_split().weights)
    instead = f"all its requests go to {plan.canary}; " if serves else ""
    return Finish(RolloutStatus.PAUSED, instead + lost(plan, seen))


def _is_lost(plan: RolloutPlan, seen: Observation, past: History) -> bool:
    """Whether requests still need an old version that cannot come back, and no person chose the new one."""
    chosen = past.skip or seen.request == "promote-now"
    promoted = seen.server is not None and seen.server.labels.get(plan.stable) == plan.new
    return bool(seen.gone and plan.steps) and not chosen and not promoted


def _interrupt(plan: RolloutPlan, seen: Observation, past: History) -> Action | None:
    """Return what takes precedence over any phase: a stop, or the wait between two attempts."""
    leaving = "retire" in past.intended
    if leaving and seen.ended and "revive" not in past.intended:
        return RestartServer()
    stop = _stop_reason(plan, seen, past, plan.patience if leaving else plan.outage)
    if stop is not None:  # once the old version may be gone, only a person can tell what is right
        return Finish(RolloutStatus.PAUSED, stop) if leaving else Withdraw(stop)
    moved = _moved(plan, seen.server, past)
    if moved is not None:
        return Finish(RolloutStatus.PAUSED, moved)
    failure = past.failure
    if failure is not None and seen.now - failure.last < plan.poll * 5:
        return Wait(plan.poll, failure.message)
    return None


def _stop_reason(plan: RolloutPlan, seen: Observation, past: History, patience: float) -> str | None:
    """Return what rolls the rollout back whatever its phase, ``None`` for nothing."""
    leaving = "retire" in past.intended
    failure = past.failure
    if seen.request == "abort" and not leaving:
        return "an abort was requested"
    if failure is not None and not failure.retriable:
        return f"{action_text(failure.action)} failed: {failure.message}"
    if failure is not None and seen.now - failure.first >= patience:
        return f"{action_text(failure.action)} failed for {seen.now - failure.first:.0f} s: {failure.message}"
    if seen.starved and not leaving:
        return seen.starved
    if seen.ended:
        return f"the server's process ended while version {plan.new} was being rolled out"
    if seen.server is None or seen.silent:
        silent = seen.silent_for >= patience
        return f"no answer for {seen.silent_for:.0f} s: {seen.error}" if silent else None
    needed = not leaving and (not seen.gone or _is_lost(plan, seen, past))
    if plan.steps and needed and not seen.server.available(plan.old):
        return f"version {plan.old}, which is {plan.stable}, is not AVAILABLE but {describe(seen.server, plan.old)}"
    return None


def _moved(plan: RolloutPlan, server: ServerView | None, past: History) -> str | None:
    """Say that stable points at a version that this rollout did not set, ``None`` if it does not."""
    allowed = {plan.new} if "retire" in past.intended else _stable_versions(plan, past)
    strange = frozenset() if server is None else server.reached(plan.stable) - allowed
    if not strange:
        return None
    return f"label {plan.stable} points at version {min(strange)}, which this rollout did not set"


def describe(server: ServerView, version: int) -> str:
    """Return the state of a version as text, with the server's reason if it failed."""
    view = server.versions.get(version)
    if view is None:
        return "unknown to the server"
    return f"{view.state}: {view.message}" if view.message else view.state


def _preflight(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    del plan, seen, server
    if past.preflight is None:
        return Preflight()
    return (
        None if past.preflight else Finish(RolloutStatus.ROLLED_BACK, f"preflight: {past.check_reason}", refused=True)
    )


def _load(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Load the new version beside the old one and wait until it is AVAILABLE."""
    if "retire" in past.intended:
        return None
    if past.step < 0 and "label" not in past.intended and leaks(plan, seen.split):
        return RestoreTraffic(
            plan.safe_split().weights
        )  # weights of an earlier experiment must not reach the new version
    loaded = past.applied.get("load")
    labelled = server.labels.get(plan.stable) in _stable_versions(plan, past) or not server.available(plan.old)
    if loaded is not None and server.available(plan.new) and labelled:
        return None
    action = Apply("load", plan.versions(plan.old, plan.new), _loading_labels(plan, server, past))
    if loaded is None:
        return action
    first, last = loaded
    failed = server.versions.get(plan.new)
    if failed is not None and failed.failed and not (past.stale_failure and seen.now - last < _STALE):
        return Withdraw(f"version {plan.new} failed to load: {failed.message or f'status {failed.code}'}")
    if past.smoked and not server.available(plan.new):
        return Withdraw(f"version {plan.new} is no longer AVAILABLE but {describe(server, plan.new)}")
    if not server.available(plan.new) and seen.now - first >= plan.load_timeout:
        state = describe(server, plan.new)
        return Withdraw(f"version {plan.new} was not AVAILABLE within {plan.load_timeout:g} s: it is {state}")
    busy = server.state(plan.new) in (START, LOADING)
    if not busy and seen.now - last >= plan.resend:
        return action
    return Wait(plan.poll, f"version {plan.new} is {describe(server, plan.new)}")


def _stable_versions(plan: RolloutPlan, past: History) -> set[int]:
    return {plan.old, plan.new} if "promote" in past.intended else {plan.old}


def _loading_labels(plan: RolloutPlan, server: ServerView, past: History) -> dict[str, int]:
    """Return the labels of the load, all on versions that are loaded already."""
    stable = server.labels.get(plan.stable) if "promote" in past.intended else None
    labels = {**plan.others, plan.stable: stable or plan.old}
    if plan.canary in server.labels:
        ours = server.labels[plan.canary] == plan.new
        labels[plan.canary] = plan.new if ours else plan.old
    return {label: version for label, version in labels.items() if server.available(version)}


def _smoke(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    del seen, server
    if past.smoked is None:
        return Smoke(plan.new)
    return None if past.smoked else Withdraw(f"smoke: {past.check_reason}")


def _label(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Point the canary label at the new version: a reload of its own, after the load."""
    settling = "promote" in past.intended and past.safe_at is not None
    if not plan.steps or settling or server.labels.get(plan.canary) == plan.new:
        return None
    labels = {**plan.others, plan.stable: server.labels.get(plan.stable, plan.old), plan.canary: plan.new}
    return _repeat(plan, seen, past, Apply("label", plan.versions(plan.old, plan.new), labels))


def _step(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Set the traffic of the next step, watch it for the bake, ask the gates."""
    del server
    if past.passed >= len(plan.steps) or past.skip:
        return None
    step, split = past.passed, plan.split(past.passed)
    if past.step != step or seen.split != split:
        return SetTraffic(step, split.weights, split.copies)
    if past.verdict is Verdict.FAIL and past.fails >= plan.fail_after:
        return Withdraw(f"step {plan.steps[step]:g} %: {past.verdict_reason}")
    baked = past.step_at + plan.bake
    patient = seen.now < baked + plan.samples_timeout
    lenient = not patient and plan.on_too_few == "pass"
    if past.verdict is Verdict.TOO_FEW and not patient and (not lenient or past.lenient):
        reason = f"step {plan.steps[step]:g} %: too few samples: {past.verdict_reason}"
        return Finish(RolloutStatus.PAUSED, reason) if plan.on_too_few == "pause" else Withdraw(reason)
    due = _due(plan, past, baked)
    if seen.now < due:
        return Wait(min(due - seen.now, plan.poll * 5), f"watching {plan.steps[step]:g} %")
    return Judge(step, final=seen.now >= baked, lenient=lenient)


def _due(plan: RolloutPlan, past: History, baked: float) -> float:
    """Return when to ask the gates next: every ``check_every``, at the end of the bake, then every second."""
    every = max(plan.check_every, plan.poll)
    if past.judged_at is None:
        return min(past.step_at + every, baked)
    if past.judged_at < baked:
        return min(past.judged_at + every, baked)
    return past.judged_at + min(every, 1.0)


def _approval(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Pause for a person's approval, where the plan requires it."""
    del seen, server
    if past.approved or "promote" in past.intended or not plan.needs_approval:
        return None
    what = "the experiment is over" if plan.strategy == AB else "all steps passed"
    return Finish(RolloutStatus.PAUSED, f"{what}: rollout promote goes on, rollout abort rolls back")


def _promote(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Point stable at the new version; the canary label stays until consumers have followed."""
    if server.labels.get(plan.stable) == plan.new:
        return None
    labels = {**plan.others, plan.stable: plan.new}
    if plan.steps or plan.keep_canary:
        labels[plan.canary] = plan.new
    return _repeat(plan, seen, past, Apply("promote", plan.versions(plan.old, plan.new), labels))


def _settle(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Send all traffic to stable, which is the new version now, and let consumers follow."""
    del server
    if past.safe_at is None or leaks(plan, seen.split):
        return RestoreTraffic(plan.safe_split().weights)
    if past.exposed and seen.now - past.safe_at < plan.drain:
        return Wait(plan.poll, "consumers are catching up with the traffic file")
    if "retire" not in past.intended and seen.now - past.safe_at < plan.keep_warm:
        return Wait(plan.poll, f"version {plan.old} is kept warm")
    return None


def _retire(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Unload the old version and drop the canary label, unless the plan keeps them."""
    labels = {**plan.others, plan.stable: plan.new}
    if plan.keep_canary:
        labels[plan.canary] = plan.new
    wanted = plan.versions(plan.new, *((plan.old,) if plan.keep_old else ()))
    applied = past.applied.get("retire")
    if applied is None:
        return Apply("retire", wanted, labels)
    leaving = plan.old not in wanted and server.answers(plan.old)
    if leaving and seen.now - applied[0] < plan.patience:
        if seen.now - applied[1] >= plan.resend:
            return Apply("retire", wanted, labels)
        return Wait(plan.poll, f"version {plan.old} is unloading")
    if leaving:
        return Finish(RolloutStatus.PAUSED, f"version {plan.old} is still {describe(server, plan.old)}")
    return None


def _prune(plan: RolloutPlan, seen: Observation, server: ServerView, past: History) -> Action | None:
    """Remove old versions from the disk, once."""
    del seen, server
    return None if plan.retain is None or "prune" in past.applied else Prune(plan.retain)


def _repeat(plan: RolloutPlan, seen: Observation, past: History, action: Apply) -> Action:
    """Do ``action`` now; without effect, repeat it after a while, and roll back when that does not help."""
    applied = past.applied.get(action.purpose)
    if applied is None or seen.now - applied[1] >= plan.resend:
        if applied is not None and seen.now - applied[0] >= plan.patience:
            return Withdraw(f"{action.purpose} has no effect: the server still answers with other labels")
        return action
    return Wait(plan.poll, f"{action.purpose} is taking effect")
