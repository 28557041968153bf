# SPDX-License-Identifier: Apache-2.0
"""The clients of a deployment's server, one for each transport."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.client import RestClient
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.addresses import reached_from_here
from tfs_deploy.launch.client import client_for
from tfs_deploy.launch.targets import require_own, target_of
from tfs_deploy.state.endpoint import read_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.client import Client
    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.launch.server import StartedServer

#: seconds that a Docker Engine may take to tell the address of a container
_LOOK: Final = 3.0


@dataclass(frozen=True, slots=True)
class Connections:
    """The clients of one server; ``rest`` is ``None`` where the deployment has no REST port."""

    grpc: Client
    rest: RestClient | None = None

    @property
    def predictors(self) -> dict[str, Predictor]:
        """The clients by transport name."""
        return {"grpc": self.grpc} if self.rest is None else {"grpc": self.grpc, "rest": self.rest}


@contextlib.contextmanager
def connect(deployment: Deployment, *, timeout: float = 10.0, any_server: bool = False) -> Iterator[Connections]:
    """Yield the clients of a deployment's server (see ``addresses``); nothing is sent before the first call."""
    grpc_address, rest_address = addresses(deployment, any_server=any_server)
    with contextlib.ExitStack() as stack:
        grpc = stack.enter_context(client_for(deployment, grpc_address, timeout=timeout))
        rest = stack.enter_context(RestClient(rest_address, timeout=timeout)) if rest_address else None
        yield Connections(grpc, rest)


def addresses(deployment: Deployment, *, any_server: bool = False) -> tuple[str, str | None]:
    """Return the addresses of the server for gRPC and REST (``None``: no REST API).

    Those of a running server that ``up`` started; while the Docker Engine does not answer, those that ``up`` recorded.
    Any other server is expected on this machine, on the ports of the file; unless ``any_server``, it must be the
    deployment's own all the same, else ``EnvironmentFault`` (see ``launch.targets``).
    """
    try:
        running: StartedServer | None = target_of(deployment, timeout=_LOOK).current()
    except TfsDeployError:
        written = read_endpoint(deployment.state_dir)
        if written is None:
            raise
        return written.grpc, written.rest
    if running is not None:
        return running.grpc_address, running.rest_address
    if not any_server:
        require_own(deployment)
    server = deployment.server
    grpc, rest = (str(reached_from_here(server.address, port)) for port in (server.grpc_port, server.rest_port))
    return grpc, rest if server.rest_port else None
