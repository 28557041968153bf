# SPDX-License-Identifier: Apache-2.0
"""How a server runs in a container: the ``server.docker`` section as plain values, and where things lie inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from tfs_deploy.deployment.image import Image
from tfs_deploy.host.addresses import LOOPBACK

Restart = Literal["never", "on-failure", "always", "unless-stopped"]
Pull = Literal["missing", "always", "never"]
Gpus = Literal["all"] | int | tuple[str, ...]

#: inside the container: the directory of the files that the server reads, and of the models (g3doc/docker.md)
CONFIG_DIR: Final = Path("/config")
MODELS_DIR: Final = Path("/models")
#: the image where none is named
DEFAULT_IMAGE: Final = "tensorflow/serving:2.19.1"
#: the newest official image when this was released
NEWEST_IMAGE: Final = "tensorflow/serving:2.20.0"
#: ports inside the container, those that the official image exposes
GRPC_PORT: Final = 8500
REST_PORT: Final = 8501
#: labels of containers that begin so are the toolkit's own: by them it finds a deployment's server
OWN_LABELS: Final = "tfs-deploy."

#: the user of a server that root starts without naming one
NOBODY: Final = "65534:65534"

#: the limits of a field that counts (see ``deployment``)
COUNT: Final = {"ge": 1, "lt": 2**31}


@dataclass(frozen=True, slots=True)
class Mount:
    """One more directory or file of this machine inside the container."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Docker:
    """The container; ``serving_version`` is the server's release where the image's tag does not tell it.

    ``allow_newer_tensorflow``: serve versions that a newer TensorFlow wrote than that of the server.

    ``memory`` and ``shm_size`` are in bytes, ``cpus`` a number of CPUs, ``pids`` one of processes and threads, ``user``
    is ``UID[:GID]`` (None: the user who starts it, or 65534 instead of root), ``address`` is where the ports are
    published, ``networks`` are those of the engine that it joins.
    """

    image: str
    serving_version: tuple[int, int] | None = None
    allow_newer_tensorflow: bool = False
    address: str = LOOPBACK
    user: str | None = None
    memory: int | None = None
    cpus: float | None = field(default=None, metadata={"gt": 0, "allow_inf_nan": False})
    gpus: Gpus | None = None
    env: dict[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    restart: Restart = "unless-stopped"
    log_max_size: str = "10m"
    log_max_files: int = field(default=3, metadata=COUNT)
    pull: Pull = "missing"
    platform: str | None = None
    networks: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    shm_size: int | None = None
    health_check: bool = False
    pids: int = field(default=4096, metadata=COUNT)

    @property
    def reference(self) -> Image:
        """The image's name in its parts."""
        return Image.parse(self.image) or Image(self.image)

    @property
    def release(self) -> tuple[int, int] | None:
        """The server's release X.Y, None where it is unknown."""
        return self.serving_version or self.reference.release


def user_of(docker: Docker, uid: int, gid: int, *, mapped: bool) -> str:
    """Return the user that a container runs as: ``server.docker.user``, else the caller, and 65534 for root.

    In a ``mapped`` engine (rootless) root inside is the user who runs the engine; every other user inside is mapped to
    a user id that cannot read that user's files.
    """
    if docker.user is not None:
        return docker.user
    if mapped:
        return "0:0"
    return NOBODY if uid == 0 else f"{uid}:{gid}"
