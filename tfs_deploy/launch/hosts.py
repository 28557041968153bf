"""Which kind of host a deployment's servers run on, and its server in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.launch.embedded.host import EmbeddedHost
from tfs_deploy.launch.embedded.record import running_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import Host, Server


def host_of(
    deployment: Deployment,
    *,
    progress: Callable[[str, int, int], None] | None = None,
    timeout: float | None = None,
) -> Host[Any]:
    """Return the host of a deployment's servers; ``EnvironmentFault`` if it cannot be used.

    ``timeout``: seconds that a container engine may take for an answer, ``None`` for as long as a start may take.
    """
    if deployment.server.target == "embedded":
        return EmbeddedHost(deployment)
    from tfs_deploy.launch.docker.host import DockerHost

    if timeout is None:
        return DockerHost(deployment, progress=progress)
    from tfs_deploy.launch.docker.engine import Engine

    return DockerHost(deployment, Engine(timeout=timeout), progress=progress)


def find_server(deployment: Deployment) -> Server | None:
    """Return the server in use of a deployment if it runs."""
    return host_of(deployment).current()


def require_one_kind(deployment: Deployment) -> None:
    """Raise ``UsageError`` if the deployment has a running server of another kind than its file asks for."""
    if deployment.server.target == "embedded":
        return
    other = running_server(deployment.state_dir)
    if other is not None:
        raise UsageError(
            f"the embedded {other.name} of this deployment still runs",
            hint=f"stop it first: tfs-deploy down {deployment.source}",
        )
