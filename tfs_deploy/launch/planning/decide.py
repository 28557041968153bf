# SPDX-License-Identifier: Apache-2.0
"""From facts to a plan. Nothing here asks or changes anything: ``up`` carries out exactly what ``plan`` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.config.diff import diff
from tfs_deploy.config.policies import policy_of
from tfs_deploy.launch.planning import reloads
from tfs_deploy.launch.planning.plan import ServerPlan
from tfs_deploy.launch.planning.refusals import refusals
from tfs_deploy.launch.planning.steps import (
    ClearLeftovers,
    EndRollouts,
    ReplaceBeside,
    ReplaceInPlace,
    StartServer,
    UseConfigDir,
    WriteEndpoint,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.planning.facts import LaunchFacts
    from tfs_deploy.launch.planning.steps import Step

#: seconds that a start is expected to take before one was measured: the server's own start, without models
_START_SECONDS: Final = 3.0


def decide(facts: LaunchFacts, *, force_replace: bool = False, check_memory: bool = True) -> ServerPlan:
    """Return the plan that brings a deployment to its file.

    ``force_replace`` replaces a server that could be kept; without ``check_memory`` models may not fit into memory.
    """
    refused = refusals(facts, check_memory=check_memory)
    if facts.server is None:
        return _start(facts, refused)
    if facts.settings or force_replace:
        return _replace(facts, refused)
    steps = (*_repairs(facts), *reloads.reloads(facts), *_endpoint(facts), *_rollouts(facts))
    if not steps:
        return ServerPlan("none", refused=refused, memory=facts.memory)
    return ServerPlan("update", steps, _model_changes(facts), refused, memory=facts.memory)


def _start(facts: LaunchFacts, refused: tuple[TfsDeployError, ...]) -> ServerPlan:
    lines = (*facts.fetches, f"start a server on {facts.ports}", *reloads.load_everything(facts))
    start = StartServer(lines, facts.ports)
    steps = (*_repairs(facts), start, *reloads.traffic(facts), *_rollouts(facts))
    changes = tuple(f"{model.name}: {policy_of(model)}" for model in facts.target.model_config_list.config)
    return ServerPlan("start", steps, changes, refused, memory=facts.memory)


def _replace(facts: LaunchFacts, refused: tuple[TfsDeployError, ...]) -> ServerPlan:
    gap = 0.0 if facts.pair is not None else facts.start_seconds or _START_SECONDS
    steps = (*_repairs(facts), _replacement(facts, gap), *reloads.traffic(facts), *_rollouts(facts))
    changes = (*facts.settings, *_model_changes(facts))
    return ServerPlan("replace", steps, changes, refused, gap, facts.memory)


def _replacement(facts: LaunchFacts, gap: float) -> ReplaceBeside | ReplaceInPlace:
    loads = reloads.load_everything(facts)
    if facts.pair is not None:
        lines = (
            *facts.fetches,
            f"start a second server on {facts.pair}",
            *loads,
            "check each of its labels",
            f"send the clients that follow the endpoint file there, wait for their last calls to {facts.server}",
            f"stop {facts.server}",
        )
        return ReplaceBeside(lines, facts.pair)
    lines = (
        *facts.fetches,
        "start a second server on unused ports",
        *loads,
        "check each of its labels, then stop it: the settings work",
        f"stop {facts.server}: downtime begins, about {gap:.1f} s",
        f"start the new server on {facts.ports}, wait for every version",
    )
    return ReplaceInPlace(lines, facts.ports)


def _model_changes(facts: LaunchFacts) -> tuple[str, ...]:
    return tuple(diff(facts.current, facts.target).lines())


def _repairs(facts: LaunchFacts) -> Iterator[Step]:
    if facts.leftovers:
        yield ClearLeftovers(facts.leftovers)
    if facts.config_link is not None:
        yield UseConfigDir((f"point the link config at {facts.config_link.name}, which {facts.server} reads",))


def _endpoint(facts: LaunchFacts) -> Iterator[Step]:
    if facts.endpoint is not None:
        grpc, rest = facts.endpoint
        yield WriteEndpoint((f"write endpoint.json: gRPC {grpc}" + (f", REST {rest}" if rest else ""),))


def _rollouts(facts: LaunchFacts) -> Iterator[Step]:
    if facts.ended_rollouts:
        yield EndRollouts(
            tuple(
                f"drop the versions and labels that the last rollout set for {model}" for model in facts.ended_rollouts
            )
        )
