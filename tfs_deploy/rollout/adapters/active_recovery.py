# SPDX-License-Identifier: Apache-2.0
"""A damaged ``active.json``: what it held is read from ``models.config``, which a rollout writes together with it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tfs_deploy.config import model_server_config
from tfs_deploy.config.files import MODELS
from tfs_deploy.config.written import read_written
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.active import damage_of, read_active, write_active

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.deployment import Deployment

_LOG = logging.getLogger(__name__)


def active_records(deployment: Deployment) -> Mapping[str, ActiveModel]:
    """Read the records of ``active.json``; those of a damaged one are read out of the server's own config file.

    Nothing is written: the next action of a rollout replaces the file. Raises ``EnvironmentFault`` where neither can
    be read.
    """
    damage = damage_of(deployment.state_dir)
    return read_active(deployment.state_dir) if damage is None else _recovered(deployment, damage)


def mend(deployment: Deployment) -> None:
    """Replace ``active.json`` if it is damaged; raises ``EnvironmentFault``."""
    damage = damage_of(deployment.state_dir)
    if damage is not None:
        write_active(deployment.state_dir, _recovered(deployment, damage))


def _recovered(deployment: Deployment, damage: EnvironmentFault) -> Mapping[str, ActiveModel]:
    path = deployment.config_dir / MODELS
    try:
        found = read_written(path)
    except (OSError, EnvironmentFault) as error:
        message = f"{damage.message}, and {path.name}, from which it could be restored, cannot be read: {error}"
        hint = f"tfs-deploy status {deployment.source}; repair {path}, or {damage.hint}; then tfs-deploy rollout resume"
        raise EnvironmentFault(message, hint=hint) from error
    _LOG.warning("%s; restored from %s", damage.message, path)
    return records_of(deployment, found)


def records_of(deployment: Deployment, served: Any) -> dict[str, ActiveModel]:
    """Return the records that make a ``ModelServerConfig`` out of a deployment: one for each model that differs."""
    plain = {entry.name: entry for entry in model_server_config(deployment).model_config_list.config}
    records = {}
    for entry in served.model_config_list.config:
        versions = entry.model_version_policy.specific.versions
        if entry.name in plain and versions and _moves(entry) != _moves(plain[entry.name]):
            model = deployment.model(entry.name)
            records[entry.name] = ActiveModel.of(model, tuple(versions), dict(entry.version_labels))
    return records


def _moves(entry: Any) -> tuple[bytes, dict[str, int]]:
    return entry.model_version_policy.SerializeToString(deterministic=True), dict(entry.version_labels)
