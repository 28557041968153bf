"""From the sections of a file to a ``Deployment``."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.config.deployment import (
    Batching,
    Deployment,
    Model,
    Monitoring,
    Server,
    VersionPolicy,
    state_dir_of,
)

if TYPE_CHECKING:
    from tfs_deploy.spec.schema import BatchingSection, DeploymentFile, ModelSection, VersionsSection


def deployment_of(file: DeploymentFile, source: Path) -> Deployment:
    """Make the deployment that ``file``, read from the absolute path ``source``, describes."""
    monitoring = file.monitoring
    return Deployment(
        name=file.name,
        source=source,
        state_dir=state_dir_of(source, file.name),
        models=tuple(_model(model, source.parent) for model in file.models),
        server=Server(**file.server.model_dump()),
        batching=None if file.batching is None else batching_of(file.batching),
        monitoring=None if monitoring is None else Monitoring(monitoring.prometheus, monitoring.path),
    )


def batching_of(section: BatchingSection) -> Batching:
    """Make the batching parameters of a section."""
    return Batching(**(section.model_dump() | {"allowed_batch_sizes": tuple(section.allowed_batch_sizes)}))


def _model(model: ModelSection, folder: Path) -> Model:
    # Symbolic links stay: the server is meant to see where they point when it looks.
    base_path = Path(os.path.normpath(folder / model.base_path))
    return Model(model.name, base_path, _policy(model.versions), dict(model.labels), dict(model.traffic))


def _policy(versions: VersionsSection) -> VersionPolicy:
    if versions.specific is not None:
        return VersionPolicy.specific(versions.specific)
    return VersionPolicy.all() if versions.all else VersionPolicy.latest(versions.latest or 1)
