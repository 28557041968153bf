# SPDX-License-Identifier: Apache-2.0
"""The config that a server reads: one model as the rollout sets it, all others as they are served."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.atomic import write_files
from tfs_deploy.config import model_server_config, render, write_config
from tfs_deploy.config.files import MODELS
from tfs_deploy.config.written import read_written
from tfs_deploy.deployment.active import ActiveModel, model_digest
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.rollout.adapters.active_recovery import active_records
from tfs_deploy.state.active import write_active
from tfs_deploy.state.endpoint import endpoint_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.deployment import Deployment


class DeployedConfig:
    """The config of a deployment's servers, in which a rollout sets one model; a state is that of ``active.json``.

    Where ``up`` started the server (and with ``own``, which replicas do not have), other models stay as its config file
    has them: a rollout of one model must not bring an edit of another one into force before the next ``up``. Elsewhere
    the deployment file says what the others are.
    """

    def __init__(self, deployment: Deployment, model: str, *, own: bool = False) -> None:
        self._deployment = deployment
        self._model = deployment.model(model)
        self._own = own

    def read(self) -> Mapping[str, ActiveModel]:
        """Return what rollouts have set so far."""
        return active_records(self._deployment)

    def after(
        self, state: Mapping[str, ActiveModel], versions: tuple[int, ...], labels: Mapping[str, int]
    ) -> Mapping[str, ActiveModel]:
        """Return the state in which exactly ``versions`` are wanted and ``labels`` set."""
        return {**state, self._model.name: ActiveModel.of(self._model, versions, labels)}

    def write(self, state: Mapping[str, ActiveModel]) -> None:
        """Replace the files; raises ``EnvironmentFault``."""
        if self._served is None:
            write_config(self._deployment, self._deployment.config_dir, state, checksum=True)
        else:
            write_files(self._deployment.config_dir, {MODELS: render(self.message(state))})
        write_active(self._deployment.state_dir, state)

    def message(self, state: Mapping[str, ActiveModel]) -> Any:
        """Return the ``ModelServerConfig`` with all models."""
        if self._served is None:
            return model_server_config(self._deployment, state)
        record = state.get(self._model.name)
        if record is None or record.digest != model_digest(self._model):
            return self._served  # as it was before any rollout
        alone = dataclasses.replace(self._deployment, models=(self._model,))
        (own,) = model_server_config(alone, state).model_config_list.config
        return with_model(self._served, own)

    @functools.cached_property
    def _served(self) -> Any:
        """The config at the beginning of the rollout or its resumption; the lock keeps others from changing it."""
        if not self._own or not endpoint_path(self._deployment.state_dir).exists():
            return None
        try:
            return read_written(self._deployment.config_dir / MODELS)
        except (OSError, TfsDeployError):  # nothing to keep
            return None


def with_model(served: Any, own: Any) -> Any:
    """Return a ``ModelServerConfig`` with the entry of one model replaced, or added."""
    message = protos.ModelServerConfig()
    message.CopyFrom(served)
    for entry in message.model_config_list.config:
        if entry.name == own.name:
            entry.CopyFrom(own)
            return message
    message.model_config_list.config.add().CopyFrom(own)
    return message
