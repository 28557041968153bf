# SPDX-License-Identifier: Apache-2.0
"""``Deployment``: a deployment file, and what is done with its server.

::

    deployment = Deployment.load("digits.yaml")
    print(deployment.plan().changes)
    deployment.up()
    with deployment.client() as client:
        client.predict("digits", {"image": batch}, label="stable")
    deployment.rollout("digits", to=2, steps=(5, 50, 100)).run()
    deployment.down()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.operations.loaded import LoadedDeployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Unpack

    from tfs_deploy.client import DeployedClient
    from tfs_deploy.client.options import GrpcOptions
    from tfs_deploy.launch.planning.plan import ServerPlan
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.launch.status import Overview
    from tfs_deploy.launch.up import UpResult
    from tfs_deploy.smoke import SmokeCheck, SmokeReport

    Pulled = Callable[[str, int, int], None]


class Deployment(LoadedDeployment):
    """One server with its models, as a deployment file describes it, and the operations of the command line.

    Operations that change something hold the lock of the deployment, as the commands do: ``LockedError`` if another
    process holds it for longer than ``wait_lock`` seconds.
    """

    __slots__ = ()

    def plan(self, *, against: str | None = None) -> ServerPlan:
        """Return what ``up`` would change, in steps; it changes nothing, and is false if there is nothing to do.

        ``against``: the gRPC address of a server that serves the deployment elsewhere.
        """
        from tfs_deploy.launch.up import plan

        return plan(self, against=against)

    def up(
        self,
        *,
        timeout: float = 120.0,
        check_memory: bool = True,
        wait_lock: float = 0.0,
        on_pull: Pulled | None = None,
    ) -> UpResult:
        """Start the server, or bring a running one in line with the file; returns once every version is available.

        No request to a running server fails, unless something changed that a server reads at its start only.

        Args:
            timeout: seconds.
            check_memory: refuse models that do not fit into memory.
            wait_lock: seconds to wait for another process that is at work on the deployment.
            on_pull: called with a text, the bytes done and all bytes (0: unknown) while an image is pulled.

        Raises:
            LaunchError, PortInUseError: a server did not start; one that ran before still does.
            StatusError: a version did not load, or the server refused a change.
            EnvironmentFault: the models do not fit into memory.
            ModelError, UsageError: the plan is refused; nothing was changed.
        """
        return _bring_up(self, timeout, check_memory, wait_lock, on_pull, replace=False)

    def restart(
        self,
        *,
        timeout: float = 120.0,
        check_memory: bool = True,
        wait_lock: float = 0.0,
        on_pull: Pulled | None = None,
    ) -> UpResult:
        """Replace the running server with a new one, else as ``up``."""
        return _bring_up(self, timeout, check_memory, wait_lock, on_pull, replace=True)

    def down(self, *, timeout: float = 15.0, wait_lock: float = 0.0) -> StartedServer | None:
        """Stop the server and return it, ``None`` if none ran; it is killed after ``timeout`` seconds."""
        from tfs_deploy.launch.up import down
        from tfs_deploy.state.lock import lock

        with lock(self.state_dir, "down", wait=wait_lock):
            return down(self, timeout=timeout)

    def status(self, *, timeout: float = 5.0) -> Overview:
        """Return what the server serves, compared with the file; ``good`` says whether it is as the file wants it.

        Raises ``StatusError`` if the server runs and does not answer in time.
        """
        from tfs_deploy.launch.status import overview

        return overview(self, timeout=timeout)

    def smoke(
        self,
        *,
        model: str | None = None,
        label: str | None = None,
        version: int | None = None,
        rtol: float | None = None,
        atol: float | None = None,
        timeout: float = 10.0,
        any_server: bool = False,
        on_check: Callable[[SmokeCheck], None] = lambda _check: None,
    ) -> SmokeReport:
        """Compare the answers of every label, or of the chosen one, with those recorded at export.

        Args:
            model: only this one.
            label: only this one.
            version: this one by number, even if it has no label.
            rtol: instead of the recorded relative tolerance.
            atol: instead of the recorded absolute tolerance.
            timeout: seconds for each request.
            any_server: also call a server on the file's ports that ``up`` did not start.
            on_check: called with each check when it is done.

        Raises:
            UsageError: the choice fits no model or label.
            EnvironmentFault: the deployment's server does not run.
        """
        from tfs_deploy.smoke import SmokeReport
        from tfs_deploy.smoke.connections import connect
        from tfs_deploy.smoke.smoke import ToleranceOverride
        from tfs_deploy.smoke.targets import smoke_deployment

        tolerance = ToleranceOverride(rtol, atol)
        checks = []
        with connect(self, timeout=timeout, any_server=any_server) as connections:
            chosen: dict[str, Any] = {"model": model, "label": label, "version": version, "tolerance": tolerance}
            for check in smoke_deployment(self, connections.predictors, **chosen):
                checks.append(check)
                on_check(check)
        return SmokeReport(tuple(checks))

    def client(self, **options: Unpack[GrpcOptions]) -> DeployedClient:
        """Return a client that follows the server, also while ``up`` replaces it; TLS is as the file says.

        ``options``: those of ``Client``. Raises ``UsageError`` before the first ``up``.
        """
        from tfs_deploy.client import DeployedClient
        from tfs_deploy.launch.client import client_for

        return DeployedClient(self.state_dir, connect=lambda address: client_for(self, address, **options), **options)


def _bring_up(
    deployment: LoadedDeployment,
    timeout: float,
    check_memory: bool,  # noqa: FBT001 - the two callers name it
    wait_lock: float,
    on_pull: Pulled | None,
    *,
    replace: bool,
) -> UpResult:
    from tfs_deploy.launch.targets import target_of
    from tfs_deploy.launch.up import up
    from tfs_deploy.state.lock import lock

    with lock(deployment.state_dir, "up", wait=wait_lock):
        target = target_of(deployment, progress=on_pull)
        return up(deployment, timeout=timeout, target=target, force_replace=replace, check_memory=check_memory)
