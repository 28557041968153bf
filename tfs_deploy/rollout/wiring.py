"""The world of a real rollout: a server behind a client, its config files, the traffic file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.client import read_traffic, write_traffic
from tfs_deploy.config import ActiveModel, model_server_config, read_active, write_active, write_config
from tfs_deploy.errors import EnvironmentFault, InvalidArgumentError, NotFoundError, StatusError
from tfs_deploy.launch.hosts import host_of
from tfs_deploy.launch.lifecycle import TRAFFIC_NAME, up
from tfs_deploy.rollout.ports import ServerView, VersionView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tfs_deploy.client import Client
    from tfs_deploy.config import Deployment

#: seconds that a server may take for a look, and for a reload of known models, which does not wait for loads
_LOOK: Final = 3.0
_RELOAD: Final = 30.0


class DeployedServer:
    """One model of a deployment on its running server."""

    def __init__(self, deployment: Deployment, model: str, client: Client) -> None:
        self._deployment = deployment
        self._model = deployment.model(model)
        self._client = client

    def observe(self, labels: Iterable[str]) -> ServerView:
        """Ask for the states, and for each label which version it answers with (GetModelStatus ignores labels)."""
        try:
            found = self._client.status(self._model.name, timeout=_LOOK)
        except NotFoundError:
            return ServerView()
        versions = {status.version: VersionView(status.state, int(status.code), status.message) for status in found}
        answers = {label: self._version_of(label) for label in labels}
        return ServerView(versions, {label: version for label, version in answers.items() if version is not None})

    def apply(self, versions: tuple[int, ...], labels: Mapping[str, int]) -> None:
        """Write the files, then send the same content; a refusal puts the files back.

        The file comes first because a server that polls it, or restarts, follows the file and not the reload.
        """
        before = read_active(self._deployment.state_dir)
        after = {**before, self._model.name: ActiveModel.of(self._model, versions, labels)}
        self._write(after)
        try:
            self._client.reload(model_server_config(self._deployment, after), timeout=_RELOAD)
        except StatusError as error:
            if not error.retriable:
                self._write(before)
            raise

    def _write(self, active: Mapping[str, ActiveModel]) -> None:
        write_config(self._deployment, self._deployment.config_dir, active)
        write_active(self._deployment.state_dir, active)

    def _version_of(self, label: str) -> int | None:
        try:
            return self._client.metadata(self._model.name, label=label, timeout=_LOOK).version
        except (InvalidArgumentError, NotFoundError):  # no such label; a label whose version is gone
            return None


class DeployedProcess:
    """The process or container of a deployment's server, where ``up`` started it."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def ended(self) -> bool:
        """Whether there was a server that does not run any more."""
        return host_of(self._deployment).ended()

    def revive(self) -> None:
        """Start the server again, as the last rollout step left its files."""
        up(self._deployment)


class TrafficFile:
    """One model's weights in the deployment's traffic file, which routers follow."""

    def __init__(self, deployment: Deployment, model: str) -> None:
        self.path: Path = deployment.state_dir / TRAFFIC_NAME
        self._model = model

    def read(self) -> Mapping[str, float] | None:
        """Return the weights that are not 0; ``None`` when there are none, or the file is damaged."""
        try:
            weights = read_traffic(self.path).models.get(self._model)
        except EnvironmentFault:  # writing will say so
            return None
        return None if weights is None else {label: weight for label, weight in weights.items() if weight > 0}

    def write(self, weights: Mapping[str, float]) -> None:
        """Replace the weights at once; raises ``EnvironmentFault``."""
        write_traffic(self.path, self._model, weights)


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
