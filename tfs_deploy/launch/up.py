# SPDX-License-Identifier: Apache-2.0
"""One deployment's server, up and down.

``up`` is observe -> decide -> carry out; ``plan`` stops after decide and shows the same steps. Nothing here locks: the
caller holds the deployment's lock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.deployment.active import kept_notes
from tfs_deploy.launch.client import client_for
from tfs_deploy.launch.executor import Executor
from tfs_deploy.launch.planning.decide import decide
from tfs_deploy.launch.planning.observe import observe, observe_address
from tfs_deploy.launch.planning.plan import lines_of
from tfs_deploy.launch.server import STOP_TIMEOUT
from tfs_deploy.launch.status import unfinished_notes
from tfs_deploy.launch.targets import every_target_of
from tfs_deploy.state.active import active_path
from tfs_deploy.state.config_generations import drop_generations
from tfs_deploy.state.endpoint import mark_stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker
    from tfs_deploy.launch.planning.observe import Connect, LaunchObservation
    from tfs_deploy.launch.planning.plan import ServerPlan
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.launch.target import LaunchTarget


@dataclass(frozen=True, slots=True)
class UpResult:
    """What ``up`` did: a server ``started`` or one that ran already, one line for each change and step, and notes.

    ``gap`` is the downtime in seconds of a server that was replaced, None if none was.
    """

    server: StartedServer
    started: bool
    changes: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    gap: float | None = None
    steps: tuple[str, ...] = field(default=())


def plan(
    deployment: Deployment,
    *,
    against: str | None = None,
    target: LaunchTarget[Any] | None = None,
    connect: Connect = client_for,
) -> ServerPlan:
    """Return what ``up`` would do now; ``against`` is the address of a server that serves the deployment elsewhere.

    Raises:
        EnvironmentFault, StatusError: the server, the engine or a file cannot be read.
    """
    docker = deployment.server.docker if deployment.server.contained else None
    if against is not None:
        found = decide(observe_address(deployment, against, connect=connect))
    else:
        seen = observe(deployment, target=target, connect=connect)
        found = replace(decide(seen.facts), notes=(*_rollout_notes(seen), *_unknown_release(docker)))
    return replace(found, target=deployment.server.target, image=None if docker is None else docker.image)


def _rollout_notes(seen: LaunchObservation) -> list[str]:
    """Return a line for each rollout that has not ended; without one, for each model that a rollout left otherwise."""
    return unfinished_notes(seen.deployment) or kept_notes(
        seen.deployment, seen.served, active_path(seen.deployment.state_dir)
    )


def _unknown_release(docker: Docker | None) -> Iterator[str]:
    if docker is not None and docker.release is None:
        what = f"{docker.image} does not tell its release of TensorFlow Serving"
        yield f"{what}: flags and models are not compared with it (server.docker.serving_version sets it)"


def up(
    deployment: Deployment,
    *,
    timeout: float = 120.0,
    target: LaunchTarget[Any] | None = None,
    connect: Connect = client_for,
    force_replace: bool = False,
    check_memory: bool = True,
) -> UpResult:
    """Make a deployment's server run and serve what its file says; returns when every version is available.

    A server that runs already keeps running and is brought to the file without failing a request, unless something
    changed that a server reads at its start only: then another server replaces it. ``force_replace`` does that in any
    case.

    Raises:
        LaunchError, PortInUseError: a server did not start; nothing of it is left, and one that ran before still does.
        StatusError: a version did not load, or the server refused a change; what it served before it still serves.
        EnvironmentFault: the models do not fit into memory.
        ModelError, UsageError: the plan is refused; nothing was changed.
    """
    end = time.monotonic() + timeout
    seen = observe(deployment, target=target, connect=connect, force_replace=force_replace, wait=timeout)
    decided = decide(seen.facts, force_replace=force_replace, check_memory=check_memory)
    for refused in decided.refused:
        raise refused
    executor = Executor(seen, connect=connect, timeout=timeout, end=end)
    executor.run(decided.steps)
    drop_generations(deployment.state_dir, ())
    assert executor.server is not None
    notes = (*seen.notes, *executor.notes, *_rollout_notes(seen))
    steps = lines_of(tuple(executor.taken))
    return UpResult(executor.server, decided.action == "start", decided.changes, notes, executor.gap, steps)


def down(deployment: Deployment, *, timeout: float = STOP_TIMEOUT) -> StartedServer | None:
    """Stop a deployment's server and return it, None if none ran; nothing of it is left."""
    stopped = None
    for target in every_target_of(deployment):
        server = target.current()
        if server is not None:
            target.discard(server, timeout)
        target.clear()
        stopped = stopped or server
    mark_stopped(deployment.state_dir)
    return stopped
