# SPDX-License-Identifier: Apache-2.0
"""The flags that a deployment's server is started with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.config.files import BATCHING, MODELS, MONITORING, PLATFORM, SESSION, SSL
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.deployment.docker import CONFIG_DIR, GRPC_PORT, REST_PORT
from tfs_deploy.deployment.flags import flag_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.deployment.active import ActiveModel
    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.flags import FlagValue

#: what the toolkit sets unless the deployment file says otherwise
DEFAULTS: Final[dict[str, FlagValue]] = {
    # The profiler answers unauthenticated on the gRPC port.
    "enable_profiler": False,
    # With retries a broken model keeps the server in its start for minutes, with both ports closed.
    "max_num_load_retries": 0,
    "load_retry_interval_micros": 0,
}

#: what the toolkit sets beyond that in a container
CONTAINER_DEFAULTS: Final[dict[str, FlagValue]] = {
    # Four a CPU by default: one more call at once is refused with "Server Threadpool Exhausted".
    "grpc_max_threads": 64,
}


def server_flags(
    deployment: Deployment, config_dir: Path, active: Mapping[str, ActiveModel] | None = None
) -> list[str]:
    """Return the server's flags as ``--flag=value``, the only form it takes; its config files lie in ``config_dir``.

    In a container the directory and the ports are always the same, whatever they are outside.
    """
    server = deployment.server
    folder = CONFIG_DIR if server.contained else config_dir
    rest_port = REST_PORT if server.contained and server.rest_port else server.rest_port
    values: dict[str, FlagValue] = {
        "port": GRPC_PORT if server.contained else server.grpc_port,
        "rest_api_port": rest_port,
        "model_config_file": str(folder / MODELS),
    }
    if any(model.labels for model in apply_active(deployment, active or {})[0].models):
        # At start-up nothing is loaded yet when labels are looked at, so each of them would be refused.
        values["allow_version_labels_for_unavailable_models"] = True
    if deployment.batching is not None:
        values |= {"enable_batching": True, "batching_parameters_file": str(folder / BATCHING)}
    if server.op_libraries and not server.contained:
        values["load_op_library"] = ",".join(map(str, server.op_libraries))
    if server.embedded is not None and not server.contained:
        values |= {"address": server.embedded.address, "remote_reload": server.embedded.remote_reload}
    files = {
        "monitoring_config_file": (deployment.monitoring, MONITORING),
        "ssl_config_file": (deployment.ssl, SSL),
        "tensorflow_session_config_file": (server.session_config, SESSION),
        "platform_config_file": (server.platform_config, PLATFORM),
    }
    values |= {flag: str(folder / name) for flag, (section, name) in files.items() if section is not None}
    values |= DEFAULTS | (CONTAINER_DEFAULTS if server.contained else {}) | server.flags
    return [flag_text(name, value) for name, value in values.items()]
