"""What a server reads once, at its start, as lines that can be compared: another line means another server."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.config.files import MODELS, config_files
from tfs_deploy.deployment.docker import MODELS_DIR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker
    from tfs_deploy.launch.server import Server


def settings_of(served: Deployment) -> tuple[str, ...]:
    """Return the settings of a deployment's server, ``name=value`` each.

    Labels may come and go while a server runs; the flag that allows them matters at its start only. Ports belong to
    them, the second pair of ports does not: which one a server has changes with every replacement.
    """
    flags = server_flags(served, served.config_dir)
    lines = [flag.removeprefix("--") for flag in flags if not flag.startswith("--allow_version_labels")]
    for name, text in config_files(served).items():
        if name != MODELS:
            lines.append(f"{name}=sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    if served.server.docker is not None:
        lines += _container(served, served.server.docker)
    return tuple(lines)


def _container(served: Deployment, docker: Docker) -> Iterator[str]:
    yield f"server.grpc_port={served.server.grpc_port}"
    yield f"server.rest_port={served.server.rest_port}"
    for name in ("image", "address", "user", "memory", "cpus", "gpus", "restart", "log_max_size", "log_max_files"):
        yield f"docker.{name}={getattr(docker, name)}"
    yield from (f"docker.env.{name}={value}" for name, value in sorted(docker.env.items()))
    for model in served.models:
        yield f"mount {MODELS_DIR / model.name}={model.base_path}"
    for mount in docker.mounts:
        yield f"mount {mount.target}={mount.source}{'' if mount.read_only else ' (writable)'}"


def needs_another(served: Deployment, server: Server) -> list[str]:
    """Return why a server has to be replaced to serve what the file says, nothing if it can be changed as it runs."""
    reasons = what_differs(server.settings, settings_of(served))
    if not server.config_dir.is_dir():
        reasons.append("config directory: gone, nothing that is written now would reach the server")
    return reasons


def what_differs(had: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Return one line for each setting that is not the same, ``name: old -> new``."""
    before, after = (dict(line.split("=", 1) for line in lines if "=" in line) for lines in (had, wanted))
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in changed]
