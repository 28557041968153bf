# SPDX-License-Identifier: Apache-2.0
"""A deployment as files for other tools: a compose file, and a Dockerfile with the models inside the image."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.config.files import SSL
from tfs_deploy.deployment.docker import CONFIG_DIR, GRPC_PORT, MODELS_DIR, NOBODY, REST_PORT
from tfs_deploy.deployment.file import write_yaml
from tfs_deploy.errors import UsageError
from tfs_deploy.host.addresses import Address
from tfs_deploy.launch.docker.container import BINARY, HEALTH_TEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker

PROMETHEUS_IMAGE: Final = "prom/prometheus:v2.55.1"
PROMETHEUS_FILE: Final = "prometheus.yml"
_PROMETHEUS_PORT: Final = 9090


def compose_file(served: Deployment, config_dir: str) -> str:
    """Return the text of a compose.yaml for a deployment; ``config_dir`` is where its config files lie."""
    docker = require_docker(served)
    services: dict[str, Any] = {"server": _service(served, docker, config_dir)}
    if served.monitoring is not None and served.monitoring.prometheus:
        services["prometheus"] = {
            "image": PROMETHEUS_IMAGE,
            "command": [f"--config.file=/etc/prometheus/{PROMETHEUS_FILE}"],
            "volumes": [_bind(f"./{PROMETHEUS_FILE}", f"/etc/prometheus/{PROMETHEUS_FILE}")],
            "ports": [f"{Address(docker.address, _PROMETHEUS_PORT)}:{_PROMETHEUS_PORT}"],
            "depends_on": {"server": {"condition": "service_healthy"}},
        }
    head = f"# {served.source.name} as a compose project: docker compose up --detach --wait\n"
    if served.ssl is not None:
        head += (
            f"# {config_dir}/{SSL} holds the private key: keep it readable for user {user_of_service(docker)} alone\n"
        )
    project: dict[str, Any] = {"name": project_name(served.name), "services": _plain(services)}
    if docker.networks:
        project["networks"] = {name: {"external": True} for name in docker.networks}
    return head + write_yaml(project)


def user_of_service(docker: Docker) -> str:
    """Return the user that the service runs as; not the caller, who may be another one where the project runs."""
    return docker.user or NOBODY


def project_name(name: str) -> str:
    """Return a deployment's name as compose takes it: small letters, digits, dashes, underscores."""
    return re.sub(r"[^a-z0-9_-]", "-", name.lower()).lstrip("-_") or "deployment"


def _service(served: Deployment, docker: Docker, config_dir: str) -> dict[str, Any]:
    ports = {GRPC_PORT: served.server.grpc_port}
    if served.server.rest_port:
        ports[REST_PORT] = served.server.rest_port
    volumes = [_bind(config_dir, str(CONFIG_DIR))]
    volumes += [_bind(str(model.base_path), str(MODELS_DIR / model.name)) for model in served.models]
    volumes += [_bind(str(mount.source), mount.target, read_only=mount.read_only) for mount in docker.mounts]
    service: dict[str, Any] = {
        "image": docker.image,
        "entrypoint": [BINARY],
        "command": server_flags(served, CONFIG_DIR),
        "init": True,
        "user": user_of_service(docker),
        "read_only": True,
        "tmpfs": ["/tmp:noexec,nosuid,nodev,size=64m"],  # noqa: S108 - inside the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": docker.pids,
        "ports": [f"{Address(docker.address, outside)}:{inside}" for inside, outside in ports.items()],
        "volumes": volumes,
        "restart": "no" if docker.restart == "never" else docker.restart,
        "logging": {
            "driver": "json-file",
            "options": {"max-size": docker.log_max_size, "max-file": str(docker.log_max_files)},
        },
        "healthcheck": {
            "test": [*HEALTH_TEST],
            "interval": "5s",
            "timeout": "2s",
            "retries": 3,
            "start_period": "2m",
        },
    }
    optional = {
        "platform": docker.platform,
        "environment": dict(sorted(docker.env.items())) or None,
        "mem_limit": docker.memory,
        "memswap_limit": docker.memory,
        "cpus": docker.cpus,
        "shm_size": docker.shm_size,
        # Prometheus reaches the server by the network of the project, which it would leave for the others
        "networks": ["default", *docker.networks] if docker.networks else None,
        "labels": dict(sorted(docker.labels.items())) or None,
        "deploy": _devices(docker),
    }
    return service | {key: value for key, value in optional.items() if value is not None}


def _devices(docker: Docker) -> dict[str, Any] | None:
    if docker.gpus is None:
        return None
    which = {"device_ids": list(docker.gpus)} if isinstance(docker.gpus, tuple) else {"count": docker.gpus}
    return {"resources": {"reservations": {"devices": [{"capabilities": ["gpu"], **which}]}}}


def _plain(value: Any) -> Any:
    """Keep compose from reading variables out of texts: it knows ``$NAME`` everywhere."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _bind(source: str, target: str, *, read_only: bool = True) -> dict[str, Any]:
    return {"type": "bind", "source": source, "target": target, "read_only": read_only}


def prometheus_file(served: Deployment) -> str:
    """Return the text of a prometheus.yml that scrapes the server of the compose file beside it."""
    if served.monitoring is None:
        raise UsageError("the deployment has no monitoring", hint="add the section monitoring to its file")
    scrape = {
        "job_name": served.name,
        "metrics_path": served.monitoring.path,
        "static_configs": [{"targets": [f"server:{REST_PORT}"]}],
    }
    return write_yaml({"scrape_configs": [scrape]})


def dockerfile(served: Deployment, versions: Mapping[str, Sequence[Path]]) -> str:
    """Return a Dockerfile whose image holds models and config, for deploys that are never changed in place.

    ``versions`` are the version directories that go in, by model. Paths are relative to the build context, the folder
    of the deployment file's config and models.
    """
    docker = require_docker(served)
    lines = [f"# {served.source.name} with its models inside: docker build -t NAME ."]
    lines += [f"FROM {docker.image}", "", f"COPY config/ {CONFIG_DIR}/"]
    for model in served.models:
        for path in versions[model.name]:
            lines.append(f"COPY models/{model.name}/{path.name}/ {MODELS_DIR / model.name / path.name}/")
    lines += [f"ENV {name}={_quoted(name, value)}" for name, value in sorted(docker.env.items())]
    lines += ["", f"USER {user_of_service(docker)}"]
    lines += [f"EXPOSE {GRPC_PORT}" + (f" {REST_PORT}" if served.server.rest_port else "")]
    # exec form: the server gets the signals itself; run it with --init
    lines += [f"ENTRYPOINT {json.dumps([BINARY, *server_flags(served, CONFIG_DIR)])}", ""]
    return "\n".join(lines)


def _quoted(name: str, value: str) -> str:
    """Quote a value for ENV: between double quotes a Dockerfile knows variables and the backslash, no other escape."""
    if "\n" in value or "\r" in value:
        hint = "leave it out, or give it where the image runs: docker run --env"
        raise UsageError(f"{name} in server.docker.env has a line break, which a Dockerfile cannot hold", hint=hint)
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def require_docker(served: Deployment) -> Docker:
    """Return the container of a deployment; ``UsageError`` if it has none."""
    if served.server.docker is None:
        raise UsageError(
            f"{served.source.name} does not say which image the server is in",
            hint="server: {target: docker, docker: {image: tensorflow/serving:VERSION}}",
        )
    return served.server.docker
