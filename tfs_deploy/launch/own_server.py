"""The proof that a server is a deployment's own, before a command acts on it.

A server is a deployment's own if ``up`` started it (its process record, the label of its container), or if it reads its
config from the deployment's state directory. That one answers on the ports of the file proves nothing.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, TfsDeployError
from tfs_deploy.launch.port_owner import port_owner
from tfs_deploy.launch.port_probe import accepts
from tfs_deploy.launch.server import LOCALHOST
from tfs_deploy.launch.targets import target_of

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.port_owner import PortOwner

#: seconds that a Docker Engine may take to tell the address of a container
_LOOK: Final = 3.0


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
        if not port or not accepts(f"{LOCALHOST}:{port}"):
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
