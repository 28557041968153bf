# SPDX-License-Identifier: Apache-2.0
"""``active.json``: the versions and labels that rollouts left in force (see ``deployment.active``).

Written by ``up`` and by rollouts under the deployment's lock; every command that has to know what is served reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.active import ActiveModel, apply_active
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.json_files import is_damage, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment

NAME: Final = "active.json"
VERSION: Final = 1


def active_path(state_dir: Path) -> Path:
    """Return the path of the file."""
    return state_dir / NAME


def read_active(state_dir: Path) -> dict[str, ActiveModel]:
    """Return the records of a state directory, none if no rollout wrote any; ``EnvironmentFault`` if damaged."""
    hint = "delete it to go back to what the deployment file says"
    return read_json(active_path(state_dir), _records, known=VERSION, hint=hint) or {}


def in_force(deployment: Deployment) -> Deployment:
    """Return the deployment as rollouts left it; with records that cannot be read, as its file says.

    For what is only told: a command that acts on the records reads them itself, and fails.
    """
    try:
        return apply_active(deployment, read_active(deployment.state_dir))[0]
    except EnvironmentFault:
        return deployment


def damage_of(state_dir: Path) -> EnvironmentFault | None:
    """Return what is wrong with the content of the file, None if it can be read or is not there.

    Raises ``EnvironmentFault`` where the disk fails, or the file has a later format.
    """
    try:
        read_active(state_dir)
    except EnvironmentFault as error:
        if not is_damage(error):
            raise
        return error
    return None


def write_active(state_dir: Path, active: Mapping[str, ActiveModel]) -> Path:
    """Replace the records of a state directory in one step; an empty mapping leaves a file without records."""
    models = {
        name: {"versions": list(record.versions), "labels": record.labels, "digest": record.digest}
        for name, record in sorted(active.items())
    }
    path = active_path(state_dir)
    write_json(path, {"models": models}, version=VERSION, indent=2, sort_keys=True)
    return path


def _records(document: Any) -> dict[str, ActiveModel]:
    return {name: _record(entry) for name, entry in document["models"].items()}


def _record(entry: dict[str, Any]) -> ActiveModel:
    versions = tuple(int(version) for version in entry["versions"])
    labels = {str(label): int(version) for label, version in entry["labels"].items()}
    return ActiveModel(versions, labels, str(entry["digest"]))
