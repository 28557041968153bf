"""The files of a deployment that its server reads, all in one directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.config.atomic import write_files
from tfs_deploy.config.batching import batching_parameters
from tfs_deploy.config.models import model_server_config, render
from tfs_deploy.config.monitoring import monitoring_config
from tfs_deploy.protos import to_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.config.active import ActiveModel
    from tfs_deploy.config.deployment import Deployment

MODELS: Final = "models.config"
BATCHING: Final = "batching.config"
MONITORING: Final = "monitoring.config"


def config_files(deployment: Deployment, active: Mapping[str, ActiveModel] | None = None) -> dict[str, str]:
    """Return file name -> text for everything the server of a deployment reads."""
    files = {MODELS: render(model_server_config(deployment, active))}
    if deployment.batching is not None:
        files[BATCHING] = to_text(batching_parameters(deployment.batching))
    if deployment.monitoring is not None:
        files[MONITORING] = to_text(monitoring_config(deployment.monitoring))
    return files


def write_config(
    deployment: Deployment, directory: Path, active: Mapping[str, ActiveModel] | None = None
) -> list[Path]:
    """Write a deployment's config files into ``directory``, each replaced whole, and return their paths."""
    return write_files(directory, config_files(deployment, active))
