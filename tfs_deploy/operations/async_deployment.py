# SPDX-License-Identifier: Apache-2.0
"""``AsyncDeployment``: the operations of ``Deployment``, awaited."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.host.threads import in_thread
from tfs_deploy.operations.deployment import Deployment
from tfs_deploy.operations.loaded import LoadedDeployment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Concatenate

    from typing_extensions import ParamSpec, Unpack

    from tfs_deploy.client import AsyncDeployedClient
    from tfs_deploy.client.options import GrpcOptions

    P = ParamSpec("P")
R = TypeVar("R")


def _awaited(
    operation: Callable[Concatenate[Deployment, P], R],
) -> Callable[Concatenate[AsyncDeployment, P], Coroutine[Any, Any, R]]:
    @functools.wraps(operation)
    async def call(self: AsyncDeployment, /, *args: P.args, **options: P.kwargs) -> R:
        return await in_thread(functools.partial(operation, Deployment.of(self), *args, **options))

    return call


class AsyncDeployment(LoadedDeployment):
    """``Deployment`` whose operations are awaited: each runs in a thread of its own.

    An operation whose caller is cancelled runs to its end first. ``rollout(...).run_async()`` is cancelled between two
    actions and can be resumed.
    """

    __slots__ = ()

    plan = _awaited(Deployment.plan)
    up = _awaited(Deployment.up)
    restart = _awaited(Deployment.restart)
    down = _awaited(Deployment.down)
    status = _awaited(Deployment.status)
    smoke = _awaited(Deployment.smoke)

    def client(self, **options: Unpack[GrpcOptions]) -> AsyncDeployedClient:
        """Return a client that follows the server; see ``Deployment.client``."""
        from tfs_deploy.client import AsyncClient, AsyncDeployedClient
        from tfs_deploy.launch.client import secured

        return AsyncDeployedClient(
            self.state_dir, connect=lambda address: AsyncClient(address, **secured(self, options)), **options
        )
