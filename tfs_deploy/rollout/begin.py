# SPDX-License-Identifier: Apache-2.0
"""How a rollout begins: with a plan for what is served now, or with the unfinished rollout to resume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.active import apply_active
from tfs_deploy.deployment.deployment import command_arguments
from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.adapters.active_recovery import active_records
from tfs_deploy.rollout.controller.journal import Journal, replay
from tfs_deploy.rollout.machine.actions import RolloutStatus
from tfs_deploy.rollout.machine.plan import RolloutPlan, checked
from tfs_deploy.rollout.new_version import wanted_version
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.state.journal import journals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tfs_deploy.deployment import Deployment, Model
    from tfs_deploy.rollout.controller.world import ModelServer, TrafficControl
    from tfs_deploy.rollout.machine.history import Event, History
    from tfs_deploy.rollout.machine.observation import ServerView

STABLE = "stable"
CANARY = "canary"
_PIN: Final = f"pin the version that serves, versions: {{specific: [N]}} and labels: {{{STABLE}: N}}; then up"


@dataclass(frozen=True, slots=True)
class RecordedRollout:
    """A rollout as its journal holds it."""

    journal: Journal
    plan: RolloutPlan
    history: History
    events: tuple[Event, ...]

    @property
    def unfinished(self) -> bool:
        """Whether it can be resumed."""
        return self.history.finished in (None, RolloutStatus.PAUSED)


def recorded_rollouts(state_dir: Path, model: str, *, mono: float = 0.0) -> Iterator[RecordedRollout]:
    """Yield the rollouts of a model, the latest first; ``mono`` is the caller's monotonic time."""
    for path in reversed(journals(state_dir, model)):
        journal = Journal(path)
        events = journal.read(mono=mono)
        if events:  # without a whole entry: the process was killed before it did anything
            plan, history = replay(events)
            yield RecordedRollout(journal, plan, history, tuple(events))


def latest_rollout(state_dir: Path, model: str, *, mono: float = 0.0) -> RecordedRollout | None:
    """Return the last rollout of a model, ``None`` without one."""
    return next(recorded_rollouts(state_dir, model, mono=mono), None)


def unfinished_error(deployment: Deployment, plan: RolloutPlan, to: int | None) -> UsageError:
    """Return the error for a caller who wants version ``to`` while another rollout of the model is unfinished."""
    message = f"the rollout of {plan.model} from version {plan.old} to {plan.new} is unfinished"
    file, model = deployment.source, f"--model {plan.model}"
    if to == plan.new:
        skip = f"to go on to version {to} at once: tfs-deploy rollout promote {file} {model} --skip-steps"
        return UsageError(
            message, hint=f"{skip}; to go back to version {plan.old}: tfs-deploy rollout abort {file} {model}"
        )
    named = command_arguments(deployment, plan.model)
    return UsageError(message, hint=f"tfs-deploy rollout resume {named}, or rollout abort {named}")


def previous_version(deployment: Deployment, model: Model, current: int) -> int:
    """Return the version that was stable before ``current``, else the next lower one on disk.

    Raises ``UsageError`` right after a rollback: a caller who repeats it does not want the version that was just left,
    and may not want to go back further either.
    """
    last = latest_rollout(deployment.state_dir, model.name)
    left = None if last is None else _just_left(last, current)
    lower = [version.number for version in list_versions(model.base_path) if version.number < current]
    found = recorded_rollouts(deployment.state_dir, model.name)
    promoted = (entry.plan for entry in found if entry.history.finished is RolloutStatus.DONE and not entry.plan.back)
    before = next((plan.old for plan in promoted if plan.new == current), max(lower, default=None))
    further = f"tfs-deploy rollback {deployment.source} --model {model.name} --to {before}"
    if left is not None:
        message = f"version {current} of {model.name} is already stable again: the last rollout rolled back from {left}"
        if last is not None and last.history.refused:
            message = f"version {current} of {model.name} is still stable: the last rollout, to {left}, was refused"
        hint = (
            f"to go back further: {further}"
            if before not in (None, left)
            else f"tfs-deploy rollout history {command_arguments(deployment, model.name)}"
        )
        raise UsageError(message, hint=hint)
    if before is None:
        message = f"{model.name} has no version before {current}"
        raise UsageError(message, hint="name the version to roll back to with --to")
    return before


def _just_left(last: RecordedRollout, current: int) -> int | None:
    """Return the version that the last rollout rolled back from, if the one it rolled back to still serves."""
    if last.history.finished is RolloutStatus.DONE and last.plan.back and last.plan.new == current:
        return last.plan.old
    if last.history.finished is RolloutStatus.ROLLED_BACK and not last.plan.back and last.plan.old == current:
        return last.plan.new
    return None


@dataclass(frozen=True, slots=True)
class ServedState:
    """What is served before a rollout begins: the server, the stable version, other labels, the traffic.

    ``loads_by_itself``: whether the server loads what appears in the base path.
    """

    server: ServerView
    stable: int
    others: Mapping[str, int]
    weights: Mapping[str, float]
    loads_by_itself: bool = False


def observe_served(deployment: Deployment, model: Model, server: ModelServer, traffic: TrafficControl) -> ServedState:
    """Return what the server says of every label that the deployment knows, and the traffic file.

    Raises ``StatusError`` when the server does not answer, ``UsageError`` when it serves no version.
    """
    current, _ = apply_active(deployment, active_records(deployment))
    in_force = current.model(model.name)
    configured = {**model.labels, **in_force.labels}
    view = server.observe(sorted({STABLE, CANARY, *configured}))
    others = {label: version for label, version in view.labels.items() if label not in (STABLE, CANARY)}
    split = traffic.read()
    weights = (split.weights if split is not None else None) or model.traffic or {STABLE: 100.0}
    by_itself = in_force.version_policy.kind != "specific"
    return ServedState(view, _stable_version(model, configured, view), others, weights, by_itself)


def new_plan(model: Model, to: int | None, served: ServedState, options: Mapping[str, Any]) -> RolloutPlan:
    """Return the plan from what is served now to version ``to`` (``None``: the newest on disk or in the store).

    Raises ``UsageError``, ``ModelError`` for a version that cannot be rolled out.
    """
    new, store = wanted_version(model, to)
    if new == served.stable and STABLE not in served.server.labels and model.version_policy.kind != "specific":
        message = f"the server has loaded version {new} of {model.name} on its own: its version policy is not specific"
        raise UsageError(message, hint=_PIN)
    if store is not None and served.loads_by_itself:
        message = f"the server would load version {new} of {model.name} before its rollout, as soon as it is pulled"
        raise UsageError(f"{message}: its version policy is not specific", hint=_PIN)
    side = {label: share for label, share in served.weights.items() if label in served.others}
    pull_from = "" if store is None else str(store)
    keep = {"keep_canary": CANARY in model.labels, "pull_from": pull_from, **options}
    plan = checked(RolloutPlan(model.name, served.stable, new, others=served.others, side_traffic=side, **keep))
    loaded = {version for version in served.server.versions if served.server.answers(version)}
    return replace(plan, leaving=tuple(sorted(loaded - set(plan.versions(plan.old, plan.new)))))


def _stable_version(model: Model, configured: Mapping[str, int], server: ServerView) -> int:
    """Return the version of ``stable``; without that label the highest AVAILABLE one, which unlabelled calls reach.

    A stable version that has died still counts, so that a rollback from it is possible.
    """
    if STABLE in server.labels:
        return server.labels[STABLE]
    if STABLE in configured:
        return configured[STABLE]
    available = [version for version in server.versions if server.available(version)]
    if not available:
        raise UsageError(f"no version of {model.name} is AVAILABLE", hint="tfs-deploy status shows what is served")
    return max(available)
