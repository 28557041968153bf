# SPDX-License-Identifier: Apache-2.0
"""A deployment's own server: its versions and labels through a client, its config files, its process."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.errors import (
    EnvironmentFault,
    InvalidArgumentError,
    NotFoundError,
    TfsDeployError,
    UsageError,
)
from tfs_deploy.host.machine import available_bytes
from tfs_deploy.host.processes import resident_bytes
from tfs_deploy.launch.reload import reload_config
from tfs_deploy.launch.targets import require_own, target_of
from tfs_deploy.launch.up import up
from tfs_deploy.rollout.adapters.active_recovery import mend
from tfs_deploy.rollout.adapters.served_config import DeployedConfig
from tfs_deploy.rollout.machine.observation import ServerView, VersionView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tfs_deploy.client import Client
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.launch.target import LaunchTarget

#: seconds that a server may take for a look, and for a reload of known models, which does not wait for loads
_LOOK: Final = 3.0
_RELOAD: Final = 30.0
#: an engine that took so many seconds to say nothing is left alone for so many
_SLOW: Final = 1.0
_PAUSE: Final = 15.0
T = TypeVar("T")


class DeployedServer:
    """One model of a deployment on one server: that at ``address``, else the deployment's own or ``any_server``."""

    def __init__(
        self, deployment: Deployment, model: str, client: Client, address: str = "", *, any_server: bool = False
    ) -> None:
        self.address = address
        self._deployment = deployment
        self._given = any_server or bool(address)
        self._config = DeployedConfig(deployment, model, own=not address)
        self._model = model
        self._client = client

    def observe(self, labels: Iterable[str]) -> ServerView:
        """Ask for the states, and for each label which version it answers with (GetModelStatus ignores labels)."""
        try:
            found = self._client.status(self._model, timeout=_LOOK)
        except NotFoundError as error:
            if not is_missing(error):
                raise
            return ServerView()
        versions = {status.version: VersionView(status.state, int(status.code), status.message) for status in found}
        answers = {label: self._version_of(label) for label in labels}
        return ServerView(versions, {label: version for label, version in answers.items() if version is not None})

    def apply(self, versions: tuple[int, ...], labels: Mapping[str, int]) -> None:
        """Write the files, then send the same content; a refusal puts the files back (see ``reload_config``).

        Raises ``EnvironmentFault`` where another server has taken the place of the deployment's own.
        """
        if not self._given:
            require_own(self._deployment)
        before = self._config.read()
        after = self._config.after(before, versions, labels)
        reload_config(
            self._client,
            self._config.message(after),
            write=lambda: self._config.write(after),
            restore=lambda: self._config.write(before),
            timeout=_RELOAD,
        )

    def reload(self, config: Any) -> None:
        """Send a config; raises ``StatusError``."""
        self._client.reload(config, timeout=_RELOAD)

    def _version_of(self, label: str) -> int | None:
        try:
            return self._client.metadata(self._model, label=label, timeout=_LOOK).version
        except (InvalidArgumentError, NotFoundError) as error:
            if not is_missing(error):
                raise
            return None  # no such label, or a label whose version is gone


class DeployedProcess:
    """The process or container of a deployment's server, where ``up`` started it.

    Nothing is ``known`` of the processes of replicas, which ``up`` did not start.
    """

    def __init__(self, deployment: Deployment, *, known: bool = True) -> None:
        self._deployment = deployment
        self._known = known
        self._first: int | None = None
        self._ask_again_at = 0.0

    def ended(self) -> bool:
        """Whether there was a server that does not run any more; if the engine cannot be reached, it is not known."""
        if not self._known:
            return False
        with contextlib.suppress(TfsDeployError):
            return self._ask(lambda target: target.ended())
        return False

    def replaced(self) -> bool:
        """Whether another process serves than at the first look: an engine starts what ends again by itself."""
        pid = self._pid()
        if self._first is None:
            self._first = pid
        return pid is not None and pid != self._first

    def revive(self) -> None:
        """Start the server again, as the last rollout step left its files; ``replaced`` does not count that."""
        mend(self._deployment)
        up(self._deployment)
        self._first = self._pid()

    def memory(self) -> int | None:
        """Return the bytes that the process holds in memory, ``None`` where that is unknown.

        Raises ``EnvironmentFault`` while the engine of its container does not answer.
        """
        pid = self._running()
        return None if pid is None else resident_bytes(pid)

    def room(self) -> int | None:
        """Return the bytes that the server can still have: of its container's limit, and of this machine."""
        if not self._known:
            return None
        rooms = [available_bytes()]
        docker = self._deployment.server.docker
        if docker is not None and docker.memory is not None:
            with contextlib.suppress(EnvironmentFault):
                rooms.append(max(0, docker.memory - (self.memory() or 0)))
        return min((room for room in rooms if room is not None), default=None)

    @functools.cached_property
    def _target(self) -> LaunchTarget[Any]:
        return target_of(self._deployment, timeout=_LOOK)

    def _ask(self, question: Callable[[LaunchTarget[Any]], T]) -> T:
        """Ask the launch target; one that hangs is left alone for a while, so that it does not hold up every look."""
        began = time.monotonic()
        if began < self._ask_again_at:
            raise EnvironmentFault("the container's engine did not answer the last query", retriable=True)
        try:
            return question(self._target)
        except EnvironmentFault:
            now = time.monotonic()
            self._ask_again_at = now + _PAUSE if now - began > _SLOW else 0.0
            raise

    def _running(self) -> int | None:
        """Return the number of the process that runs, ``None`` without one; raises ``EnvironmentFault``."""
        try:
            server: StartedServer | None = self._ask(lambda target: target.current()) if self._known else None
        except UsageError:  # an engine that this process cannot use, now or later
            return None
        return None if server is None else server.pid

    def _pid(self) -> int | None:
        with contextlib.suppress(TfsDeployError):
            return self._running()
        return None


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
