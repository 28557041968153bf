# SPDX-License-Identifier: Apache-2.0
"""What serves the model of a rollout, behind one value: the deployment's own server, or replicas.

A new kind of server side (a gateway, Kubernetes) is a file in this folder with its ``ModelServer``, ``ServerProcess``
and ``TrafficControl`` (see ``controller.world``), and a branch in ``open_server_side``.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.client import RestClient
from tfs_deploy.launch.client import client_for
from tfs_deploy.rollout.adapters.deployed_server import DeployedProcess, DeployedServer
from tfs_deploy.rollout.adapters.replicas import ReplicaSet
from tfs_deploy.rollout.adapters.served_config import DeployedConfig
from tfs_deploy.rollout.adapters.traffic_file import TrafficFile
from tfs_deploy.smoke.connections import Connections, addresses, connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfs_deploy.client import Client
    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout.controller.world import ModelServer, ServerProcess, TrafficControl
    from tfs_deploy.rollout.machine.replica import Replica


@dataclass(frozen=True, slots=True)
class ServerSide:
    """The servers of a rollout: observed and changed as one ``server``, called through clients by address.

    ``process``: that of the only server; of replicas nothing is known. ``traffic``: the owner of the split that
    consumers follow. ``metrics_url``: the server's metrics page,
    ``None`` without one, and for replicas, which count apart.
    """

    server: ModelServer
    process: ServerProcess
    traffic: TrafficControl
    clients: Mapping[str, Connections]
    metrics_url: str | None = None

    @property
    def members(self) -> dict[str, Mapping[str, Predictor]]:
        """The clients of each server by transport; the only server has no address in messages."""
        several = len(self.clients) > 1
        return {address if several else "": found.predictors for address, found in self.clients.items()}

    @property
    def first_client(self) -> Client:
        """The gRPC client of the first server."""
        return next(iter(self.clients.values())).grpc


@contextlib.contextmanager
def open_server_side(
    deployment: Deployment, model: str, replicas: Sequence[Replica], *, any_server: bool = False
) -> Iterator[ServerSide]:
    """Open the clients of the deployment's own server (see ``smoke.connections``), or of ``replicas``."""
    with contextlib.ExitStack() as stack:
        if replicas:
            yield _replicas(deployment, model, replicas, stack)
        else:
            yield _single(deployment, model, stack, any_server=any_server)


def _single(deployment: Deployment, model: str, stack: contextlib.ExitStack, *, any_server: bool) -> ServerSide:
    clients = stack.enter_context(connect(deployment, any_server=any_server))
    server = DeployedServer(deployment, model, clients.grpc, any_server=any_server)
    metrics = _metrics_url(deployment, addresses(deployment, any_server=any_server)[1])
    return ServerSide(server, DeployedProcess(deployment), TrafficFile(deployment, model), {"": clients}, metrics)


def _replicas(
    deployment: Deployment, model: str, replicas: Sequence[Replica], stack: contextlib.ExitStack
) -> ServerSide:
    clients: dict[str, Connections] = {}
    for replica in replicas:
        grpc = stack.enter_context(client_for(deployment, replica.grpc))
        rest = stack.enter_context(RestClient(replica.rest)) if replica.rest else None
        clients[replica.grpc] = Connections(grpc, rest)
    members = [DeployedServer(deployment, model, found.grpc, address) for address, found in clients.items()]
    replica_set = ReplicaSet(members, DeployedConfig(deployment, model))
    stack.callback(replica_set.close)
    process = DeployedProcess(deployment, known=False)
    return ServerSide(replica_set, process, TrafficFile(deployment, model), clients)


def _metrics_url(deployment: Deployment, rest_address: str | None) -> str | None:
    monitoring = deployment.monitoring
    if monitoring is None or not monitoring.prometheus or rest_address is None:
        return None
    return f"http://{rest_address}{monitoring.path}"
