# SPDX-License-Identifier: Apache-2.0
"""The launch target that a deployment file names. A new kind is an entry of ``_TARGETS`` and a module of its own.

A server is a deployment's own if ``up`` started it (its process record, the label of its container), or if it reads its
config from the deployment's state directory. That one answers on the ports of the file proves nothing.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault, TfsDeployError, UsageError
from tfs_deploy.host.addresses import reached_from_here
from tfs_deploy.launch.embedded.record import running_server
from tfs_deploy.launch.port_probe import accepts
from tfs_deploy.launch.server import port_owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import PortOwner, StartedServer
    from tfs_deploy.launch.target import LaunchTarget

    Progress = Callable[[str, int, int], None]


def target_of(
    deployment: Deployment, *, progress: Progress | None = None, timeout: float | None = None
) -> LaunchTarget[Any]:
    """Return where a deployment's servers run; ``EnvironmentFault`` if that cannot be used.

    Args:
        deployment: its file names the target.
        progress: is called during a download that a start waits for: what, bytes done, bytes in all.
        timeout: seconds that a container engine may take for an answer, ``None`` for as long as a start may take.
    """
    return _TARGETS[deployment.server.target](deployment, progress, timeout)


def _embedded(deployment: Deployment, _progress: Progress | None, _timeout: float | None) -> LaunchTarget[Any]:
    from tfs_deploy.launch.embedded.target import EmbeddedTarget

    return EmbeddedTarget(deployment)


def _docker(deployment: Deployment, progress: Progress | None, timeout: float | None) -> LaunchTarget[Any]:
    from tfs_deploy.launch.docker.engine import DockerEngine
    from tfs_deploy.launch.docker.target import DockerTarget

    return DockerTarget(
        deployment, DockerEngine() if timeout is None else DockerEngine(timeout=timeout), progress=progress
    )


#: seconds that a Docker Engine may take to tell the address of a container
_LOOK: Final = 3.0
#: the imports are inside: a command loads the code of one target
_TARGETS: Final[dict[str, Callable[[Deployment, Progress | None, float | None], LaunchTarget[Any]]]] = {
    "embedded": _embedded,
    "docker": _docker,
}


def find_server(deployment: Deployment) -> StartedServer | None:
    """Return the server in use of a deployment if it runs."""
    return target_of(deployment).current()


def every_target_of(deployment: Deployment) -> list[LaunchTarget[Any]]:
    """Return where a deployment's servers may run: the target of its file, and processes of this machine.

    The file may have named ``embedded`` when the server was started; looking for a process costs one file.
    """
    found = [target_of(deployment)]
    return found if deployment.server.target == "embedded" else [*found, _embedded(deployment, None, None)]


def other_server(deployment: Deployment) -> UsageError | None:
    """Return the error for a running server of another target than the deployment file names, None without one."""
    if deployment.server.target == "embedded":
        return None
    other = running_server(deployment.state_dir)
    if other is None:
        return None
    hint = f"stop it first: tfs-deploy down {deployment.source}"
    return UsageError(f"the embedded {other.name} of this deployment is still running", hint=hint)


def require_own(deployment: Deployment) -> None:
    """Raise ``EnvironmentFault`` where another server than the deployment's own answers on its ports.

    Nothing is raised where no server answers, nor while a container engine does not: then nothing is known.
    """
    try:
        if target_of(deployment, timeout=_LOOK).current() is not None:
            return
    except TfsDeployError:
        return
    found = stranger(deployment)
    if found is not None:
        raise EnvironmentFault(_text(deployment, *found), hint=_hint(deployment))


def stranger(deployment: Deployment) -> tuple[int, PortOwner] | None:
    """Return the first of a deployment's ports on which another server answers, and which; it must have none itself."""
    container = deployment.server.target != "embedded"
    publisher = functools.partial(_publisher, deployment) if container else None
    for port in (deployment.server.grpc_port, deployment.server.rest_port):
        if not port or not accepts(str(reached_from_here(deployment.server.address, port))):
            continue
        owner = port_owner(port, publisher)
        if owner.state_dir is None or owner.state_dir.resolve() != deployment.state_dir.resolve():
            return port, owner
    return None


def stranger_notes(deployment: Deployment) -> list[str]:
    """Return a note that names another server on the deployment's ports; the deployment must have none itself."""
    found = stranger(deployment)
    return [] if found is None else [_text(deployment, *found)]


def _text(deployment: Deployment, port: int, owner: PortOwner) -> str:
    return f"port {port} belongs to {owner.text}, not to a server of {deployment.name}"


def _publisher(deployment: Deployment, port: int) -> str | None:
    publisher = getattr(target_of(deployment, timeout=_LOOK), "publisher", None)
    return None if publisher is None else publisher(port)


def _hint(deployment: Deployment) -> str:
    file = deployment.source
    return f"give {file} ports of its own, then tfs-deploy up {file}; or act on that server all the same: --any-server"
