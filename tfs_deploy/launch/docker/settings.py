# SPDX-License-Identifier: Apache-2.0
"""What a container is started with, as lines that can be compared."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.docker import MODELS_DIR
from tfs_deploy.launch.start_settings import start_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker

#: fields that say how an image is found and read, not how a container is started, and those with lines of their own
_OTHERWISE: Final = frozenset(
    {"serving_version", "allow_newer_tensorflow", "pull", "platform", "env", "mounts", "labels"}
)
#: fields that containers of earlier releases do not have: they have a line where they are not the default
_LATER: Final = frozenset({"networks", "shm_size", "health_check", "pids"})


def container_settings(served: Deployment) -> tuple[str, ...]:
    """Return what the server and its container read once, at their start, one line ``name=value`` each."""
    docker = served.server.docker
    own = () if docker is None else _container(served, docker)
    return (*start_settings(served), *own)


def _container(served: Deployment, docker: Docker) -> Iterator[str]:
    yield f"server.grpc_port={served.server.grpc_port}"
    yield f"server.rest_port={served.server.rest_port}"
    for field in dataclasses.fields(docker):
        value = getattr(docker, field.name)
        if field.name not in _OTHERWISE and (value != field.default or field.name not in _LATER):
            yield f"docker.{field.name}={value}"
    yield from (f"docker.env.{name}={value}" for name, value in sorted(docker.env.items()))
    yield from (f"docker.labels.{name}={value}" for name, value in sorted(docker.labels.items()))
    for model in served.models:
        yield f"mount {MODELS_DIR / model.name}={model.base_path}"
    for mount in docker.mounts:
        yield f"mount {mount.target}={mount.source}{'' if mount.read_only else ' (writable)'}"


def image_line(image: str) -> str:
    """Return the line of the image's id: another image may have got the name that a container was started with."""
    return f"docker.image id={image.removeprefix('sha256:')[:12]}"


def mounted_directories(served: Deployment) -> tuple[str, ...]:
    """Return what lies now at each path that a container mounts, one line ``name=value`` each.

    A mount stays with the file or directory that was there when the container started: once a link on the way leads
    elsewhere, or another directory was moved into its place, the container goes on with the old one. The number of an
    inode is not given to another file while a mount holds it.
    """
    docker = served.server.docker
    places = {str(MODELS_DIR / model.name): model.base_path for model in served.models}
    places |= {mount.target: mount.source for mount in (() if docker is None else docker.mounts)}
    return tuple(f"mounted {target}={_identity(source)}" for target, source in places.items())


def _identity(path: Path) -> str:
    try:
        return f"{os.path.realpath(path)} (inode {path.stat().st_ino})"
    except OSError as error:
        return f"nothing ({error.strerror})"
