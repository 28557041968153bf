"""The flags that a deployment's server is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.config.active import apply_active
from tfs_deploy.config.files import BATCHING, MODELS, MONITORING
from tfs_deploy.config.flags import flag_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.config.active import ActiveModel
    from tfs_deploy.config.deployment import Deployment
    from tfs_deploy.config.flags import FlagValue

#: flags that follow from other keys of the deployment file -> those keys
OWNED: Final[dict[str, str]] = {
    "port": "server.grpc_port",
    "rest_api_port": "server.rest_port",
    "model_config_file": "models",
    "model_name": "models[].name",
    "model_base_path": "models[].base_path",
    "allow_version_labels_for_unavailable_models": "models[].labels",
    "enable_batching": "batching",
    "batching_parameters_file": "batching",
    "monitoring_config_file": "monitoring",
    "version": "tfs-deploy --version",
}

#: what the toolkit sets unless the deployment file says otherwise
DEFAULTS: Final[dict[str, FlagValue]] = {
    # The profiler answers unauthenticated on the gRPC port.
    "enable_profiler": False,
    # With retries a broken model keeps the server in its start for minutes, with both ports closed.
    "max_num_load_retries": 0,
    "load_retry_interval_micros": 0,
}


def server_flags(
    deployment: Deployment, config_dir: Path, active: Mapping[str, ActiveModel] | None = None
) -> list[str]:
    """Return the server's flags as ``--flag=value``, the only form it takes; its config files lie in ``config_dir``."""
    server = deployment.server
    values: dict[str, FlagValue] = {
        "port": server.grpc_port,
        "rest_api_port": server.rest_port,
        "model_config_file": str(config_dir / MODELS),
    }
    if any(model.labels for model in apply_active(deployment, active or {})[0].models):
        # At start-up nothing is loaded yet when labels are looked at, so each of them would be refused.
        values["allow_version_labels_for_unavailable_models"] = True
    if deployment.batching is not None:
        values |= {"enable_batching": True, "batching_parameters_file": str(config_dir / BATCHING)}
    if deployment.monitoring is not None:
        values["monitoring_config_file"] = str(config_dir / MONITORING)
    values |= DEFAULTS | server.flags
    return [flag_text(name, value) for name, value in values.items()]
