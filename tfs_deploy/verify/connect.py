"""Clients for the server of a deployment, one a transport."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.client import Client, RestClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.config import Deployment
    from tfs_deploy.verify.smoke import Predictor


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
def connect(deployment: Deployment, *, host: str = "127.0.0.1", timeout: float = 10.0) -> Iterator[Connections]:
    """Open the clients of a deployment's server on this machine; nothing is sent before the first call."""
    server = deployment.server
    with contextlib.ExitStack() as stack:
        grpc = stack.enter_context(Client(f"{host}:{server.grpc_port}", timeout=timeout))
        rest = None
        if server.rest_port:
            rest = stack.enter_context(RestClient(f"{host}:{server.rest_port}", timeout=timeout))
        yield Connections(grpc, rest)
