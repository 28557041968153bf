# SPDX-License-Identifier: Apache-2.0
"""How the keys of ``server.docker`` fit together, with each other and with the image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.docker import CONFIG_DIR, MODELS_DIR, OWN_LABELS
from tfs_deploy.deployment.file.messages import shown
from tfs_deploy.deployment.file.text_values import (
    LOG_SIZE,
    NETWORK,
    PLATFORM,
    USER,
    VARIABLE,
    parse_gpus,
    parse_memory,
    parse_release,
)
from tfs_deploy.deployment.image import Image
from tfs_deploy.host.addresses import is_ip_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.file.schema import DockerSection, ServerSection
    from tfs_deploy.deployment.file.yaml_reader import KeyPath

    Finding = tuple[KeyPath, str]

_WHERE: Final = ("server", "docker")
#: what the engine takes for a network without one: it has no names of containers, or no ports of its own
_MODES: Final = ("bridge", "host", "none", "default")
#: the least that Docker lets a container have
_LEAST_MEMORY: Final = 6 << 20
#: variables of the official image's entrypoint script, which is not used (tools/docker/Dockerfile)
_OF_ENTRYPOINT: Final = ("MODEL_NAME", "MODEL_BASE_PATH")


def release_of_server(server: ServerSection) -> tuple[int, int] | None:
    """Return the release X.Y of the server in the image, None where it is unknown."""
    if server.target != "docker" or server.docker is None:
        return None
    given = server.docker.serving_version
    image = Image.parse(server.docker.image)
    return parse_release(given) if given is not None else image.release if image is not None else None


def is_stock(server: ServerSection) -> bool:
    """Whether the server runs in the official image."""
    image = Image.parse(server.docker.image) if server.target == "docker" and server.docker is not None else None
    return image is not None and image.stock


def check_container(server: ServerSection, unknown: set[KeyPath], *, allow_latest: bool) -> Iterator[Finding]:
    """Yield what is wrong with the container of a server."""
    if _WHERE in unknown or ("server",) in unknown:
        return
    if ("server", "target") not in unknown:
        if server.target == "docker" and server.docker is None:
            yield ("server", "target"), "docker needs the section server.docker with an image"
        if server.target != "docker" and server.docker is not None:
            yield _WHERE, f"has no effect with target: {server.target}"
    if server.docker is None:
        return
    if (*_WHERE, "image") not in unknown:
        yield from _check_image(server, server.docker, allow_latest=allow_latest)
    yield from _check_values(server.docker)
    yield from _check_labels_and_networks(server.docker)
    yield from _check_mounts(server.docker)


def _check_image(server: ServerSection, docker: DockerSection, *, allow_latest: bool) -> Iterator[Finding]:
    where = (*_WHERE, "image")
    image = Image.parse(docker.image)
    if image is None:
        yield where, f"must be REPOSITORY:TAG or REPOSITORY@sha256:DIGEST, not {shown(docker.image)}"
        return
    if image.moving and not allow_latest:
        mutable = f"the tag {image.tag} is mutable" if image.tag else "without a tag it is mutable"
        yield where, f"{mutable}: pin a version or digest (or --allow-latest)"
    if image.gpu is True and docker.gpus is None:
        yield where, "is built for GPUs: ask for them with server.docker.gpus, or drop -gpu from the tag"
    if image.gpu is False and docker.gpus is not None:
        yield (*_WHERE, "gpus"), f"{image} is not built for GPUs, its tag needs -gpu"
    if server.flags.get("per_process_gpu_memory_fraction") and docker.gpus is None:
        yield ("server", "flags", "per_process_gpu_memory_fraction"), "needs GPUs: server.docker.gpus"


def _check_values(docker: DockerSection) -> Iterator[Finding]:
    for key, (is_good, wanted) in _FORMS.items():
        value = getattr(docker, key)
        if value is not None and not is_good(value):
            yield (*_WHERE, key), f"must be {wanted}, not {shown(value)}"
    if docker.memory is not None and (parse_memory(docker.memory) or _LEAST_MEMORY) < _LEAST_MEMORY:
        yield (*_WHERE, "memory"), f"must be at least 6m, not {docker.memory}"
    for name in docker.env:
        if not VARIABLE.fullmatch(name):
            yield (*_WHERE, "env", name), "is not a valid environment variable name"
        elif name in _OF_ENTRYPOINT:
            yield (*_WHERE, "env", name), "has no effect: models come from this file, the image's script is not run"


def _check_labels_and_networks(docker: DockerSection) -> Iterator[Finding]:
    for name in docker.labels:
        if not name or name.startswith(OWN_LABELS):
            yield (*_WHERE, "labels", name), f"must not be empty or begin with {OWN_LABELS}, as the toolkit's own do"
    for index, name in enumerate(docker.networks):
        if not NETWORK.fullmatch(name):
            yield (*_WHERE, "networks", index), f"is not a valid name of a network: {shown(name)}"
        elif name in _MODES:
            yield (*_WHERE, "networks", index), f"{name} is a mode: name a network of docker network create"
        elif name in docker.networks[:index]:
            yield (*_WHERE, "networks", index), f"{name} is listed twice"


def _check_mounts(docker: DockerSection) -> Iterator[Finding]:
    seen: set[PurePosixPath] = set()
    for index, mount in enumerate(docker.mounts):
        where = (*_WHERE, "mounts", index, "target")
        target = PurePosixPath(mount.target)
        if not target.is_absolute() or ".." in target.parts or target == PurePosixPath("/"):
            yield where, f"must be an absolute path inside the container, not {shown(mount.target)}"
        elif any(target == taken or target in taken.parents or taken in target.parents for taken in _TAKEN):
            yield where, f"{mount.target} overlaps {CONFIG_DIR} or {MODELS_DIR}, which hold config and models"
        elif target in seen:
            yield where, f"{mount.target} is mounted twice"
        seen.add(target)


_TAKEN: Final = (PurePosixPath(CONFIG_DIR), PurePosixPath(MODELS_DIR))


#: key of the section -> (whether a value is valid, what it must be)
_FORMS: Final[dict[str, tuple[Callable[[Any], object], str]]] = {
    "serving_version": (parse_release, "a release such as '2.19'"),
    "memory": (lambda text: parse_memory(text) is not None, "a size such as 512m or 4g"),
    "shm_size": (parse_memory, "a size such as 64m or 1g"),
    "gpus": (parse_gpus, "all, a count or a list of device ids"),
    "user": (USER.fullmatch, "UID or UID:GID in numbers"),
    "address": (is_ip_address, "an IP address of this machine"),
    "log_max_size": (LOG_SIZE.fullmatch, "a size such as 10m"),
    "platform": (PLATFORM.fullmatch, "a platform such as linux/amd64"),
}
