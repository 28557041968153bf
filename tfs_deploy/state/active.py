"""``active.json``: the versions and labels that a rollout left in force (``deployment.active``)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tfs_deploy.atomic import write_atomic
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.errors import EnvironmentFault, file_hint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: name inside the state directory
FILE_NAME = "active.json"


def read_active(state_dir: Path) -> dict[str, ActiveModel]:
    """Read the records of a state directory, none if no rollout wrote any; ``EnvironmentFault`` if damaged."""
    path = state_dir / FILE_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: _record(entry) for name, entry in document["models"].items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "delete it to go back to what the deployment file says"
        raise EnvironmentFault(f"{path} is damaged: {error!r}", hint=hint) from error


def _record(entry: dict[str, Any]) -> ActiveModel:
    versions = tuple(int(version) for version in entry["versions"])
    labels = {str(label): int(version) for label, version in entry["labels"].items()}
    return ActiveModel(versions, labels, str(entry["digest"]))


def write_active(state_dir: Path, active: Mapping[str, ActiveModel]) -> Path:
    """Replace the records of a state directory in one step; an empty mapping leaves a file without records."""
    models = {
        name: {"versions": list(record.versions), "labels": record.labels, "digest": record.digest}
        for name, record in sorted(active.items())
    }
    path = state_dir / FILE_NAME
    write_atomic(path, json.dumps({"models": models}, indent=2, sort_keys=True) + "\n")
    return path
