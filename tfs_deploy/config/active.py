"""What is served now where a rollout moved it away from the deployment file: ``active.json`` in the state directory.

A record belongs to the model's section of the file as it was when the rollout began (its digest). Once somebody edits
that section the record no longer counts and the file wins again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy.atomic import write_atomic
from tfs_deploy.config.deployment import VersionPolicy, canonical
from tfs_deploy.errors import EnvironmentFault, file_hint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.config.deployment import Deployment, Model

#: name inside the state directory
FILE_NAME = "active.json"


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """Versions and labels of one model as a rollout set them, and the digest of the section they replace."""

    versions: tuple[int, ...]
    labels: dict[str, int] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def of(cls, model: Model, versions: tuple[int, ...], labels: Mapping[str, int]) -> ActiveModel:
        """Make the record for ``model`` as the deployment file (not an overlay) describes it."""
        return cls(tuple(sorted(set(versions))), dict(labels), model_digest(model))


def model_digest(model: Model) -> str:
    """Return a digest of everything the deployment file says of a model."""
    text = json.dumps(canonical(model), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def apply_active(deployment: Deployment, active: Mapping[str, ActiveModel]) -> tuple[Deployment, list[str]]:
    """Return the deployment as it is served now, and a note for each record that an edit of the file ended."""
    models, notes = [], []
    for model in deployment.models:
        record = active.get(model.name)
        if record is None:
            models.append(model)
        elif record.digest != model_digest(model):
            models.append(model)
            notes.append(_ended(model, record))
        else:
            policy = VersionPolicy.specific(record.versions)
            models.append(dataclasses.replace(model, version_policy=policy, labels=dict(record.labels)))
    return dataclasses.replace(deployment, models=tuple(models)), notes


def _ended(model: Model, record: ActiveModel) -> str:
    labels = ", ".join(f"{label}={version}" for label, version in sorted(record.labels.items())) or "no labels"
    return (
        f"model {model.name!r} was edited in the deployment file after its last rollout, so the file is followed again;"
        f" the rollout had left versions {', '.join(map(str, record.versions))} with {labels}"
    )


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
