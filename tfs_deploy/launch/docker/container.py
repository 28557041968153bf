# SPDX-License-Identifier: Apache-2.0
"""What the Docker Engine is asked to run: the body of its "create a container" call, as plain data.

The official image's entrypoint script does not forward signals, so `docker stop` would take its whole grace period;
the binary itself is the entrypoint here, under an init process (g3doc/docker.md; tools/docker/Dockerfile).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.docker import CONFIG_DIR, GRPC_PORT, MODELS_DIR, OWN_LABELS, REST_PORT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker, Gpus
    from tfs_deploy.launch.server import ServerPorts

BINARY: Final = "/usr/bin/tensorflow_model_server"
#: labels that let a deployment's container be found again without anything on disk
LABEL_DEPLOYMENT: Final = f"{OWN_LABELS}deployment"
LABEL_STATE_DIR: Final = f"{OWN_LABELS}state-dir"
LABEL_CONFIG_DIR: Final = f"{OWN_LABELS}config-dir"
LABEL_SETTINGS: Final = f"{OWN_LABELS}settings"
#: the official image has no curl and no health probe; bash opens a connection to the gRPC port by itself, which is open
#: once the models are loaded
HEALTH_TEST: Final = ("CMD", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{GRPC_PORT}")
_TMPFS: Final = "rw,noexec,nosuid,nodev,size=64m,mode=1777"


def container_name(deployment: Deployment) -> str:
    """Return the name of a deployment's container: two files with the same name get two containers."""
    digest = hashlib.sha256(str(deployment.state_dir).encode()).hexdigest()[:8]
    return f"tfs-deploy-{deployment.name}-{digest}"


def container_config(
    deployment: Deployment,
    docker: Docker,
    *,
    flags: Sequence[str],
    config_dir: Path,
    ports: ServerPorts,
    user: str,
    settings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the body of ``POST /containers/create`` (Docker Engine API 1.41) for a deployment's server."""
    published = {f"{GRPC_PORT}/tcp": ports.grpc} | ({f"{REST_PORT}/tcp": ports.rest} if ports.rest else {})
    host: dict[str, Any] = {
        "Init": True,
        "Mounts": _mounts(deployment, docker, config_dir),
        "PortBindings": {
            inside: [{"HostIp": docker.address, "HostPort": str(outside)}] for inside, outside in published.items()
        },
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "PidsLimit": docker.pids,
        "Tmpfs": {"/tmp": _TMPFS},  # noqa: S108 - inside the container
        # Nothing restarts it until it serves: a start that fails must not be repeated for ever.
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": docker.log_max_size, "max-file": str(docker.log_max_files)},
        },
    }
    if docker.memory is not None:
        # The same limit for memory and swap: a model server that swaps answers too late.
        host |= {"Memory": docker.memory, "MemorySwap": docker.memory}
    if docker.cpus is not None:
        host["NanoCpus"] = round(docker.cpus * 1e9)
    if docker.gpus is not None:
        host["DeviceRequests"] = [device_request(docker.gpus)]
    if docker.shm_size is not None:
        host["ShmSize"] = docker.shm_size
    if docker.networks:
        host["NetworkMode"] = docker.networks[0]  # the others are joined before it starts: the API takes one
    more: dict[str, Any] = {"Healthcheck": _health_check()} if docker.health_check else {}
    return more | {
        "Image": docker.image,
        "Entrypoint": [BINARY],
        "Cmd": list(flags),
        "User": user,
        "Env": [f"{name}={value}" for name, value in sorted(docker.env.items())],
        "ExposedPorts": {inside: {} for inside in published},
        "Labels": docker.labels
        | {
            LABEL_DEPLOYMENT: deployment.name,
            LABEL_STATE_DIR: str(deployment.state_dir),
            LABEL_CONFIG_DIR: str(config_dir),
            LABEL_SETTINGS: json.dumps(list(settings)),
        },
        "HostConfig": host,
    }


def _health_check() -> dict[str, Any]:
    seconds = 10**9
    return {
        "Test": [*HEALTH_TEST],
        "Interval": 5 * seconds,
        "Timeout": 2 * seconds,
        "Retries": 3,
        "StartPeriod": 120 * seconds,
    }


def _mounts(deployment: Deployment, docker: Docker, config_dir: Path) -> list[dict[str, Any]]:
    # A directory, not the file: a file mounted alone never shows an edit made by rename.
    own = [(config_dir, str(CONFIG_DIR), True)]
    own += [(model.base_path, str(MODELS_DIR / model.name), True) for model in deployment.models]
    own += [(mount.source, mount.target, mount.read_only) for mount in docker.mounts]
    return [
        {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": read_only}
        for source, target, read_only in own
    ]


def device_request(gpus: Gpus) -> dict[str, Any]:
    """Return what ``docker run --gpus`` sends."""
    request: dict[str, Any] = {"Driver": "", "Capabilities": [["gpu"]]}
    if gpus == "all":
        return request | {"Count": -1}
    return request | ({"Count": gpus} if isinstance(gpus, int) else {"DeviceIDs": list(gpus)})


def restart_policy(docker: Docker) -> dict[str, Any]:
    """Return what the engine does once the server has served and ends by itself."""
    return {"Name": "no" if docker.restart == "never" else docker.restart, "MaximumRetryCount": 0}
