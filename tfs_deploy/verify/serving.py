# SPDX-License-Identifier: Apache-2.0
"""The server of a verification: started for it and stopped afterwards, or one that already runs elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tfs_deploy.client import Client, RestClient
from tfs_deploy.config import server_flags, write_config
from tfs_deploy.deployment import Deployment, Docker, Server
from tfs_deploy.deployment.docker import DEFAULT_IMAGE
from tfs_deploy.deployment.image import Image
from tfs_deploy.deployment.server_traits import server_traits
from tfs_deploy.errors import PortInUseError, UsageError
from tfs_deploy.extras import require_extra
from tfs_deploy.host.addresses import read_server
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.launch.client import client_for
from tfs_deploy.launch.embedded.launcher import EmbeddedLauncher
from tfs_deploy.launch.server import ServerPorts
from tfs_deploy.state.server_log import log_path
from tfs_deploy.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfs_deploy.deployment import Model
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.savedmodel.lint import ServerTraits

EMBEDDED: Final = "embedded"
DOCKER: Final = "docker"
#: seconds until a server started here is killed; it has no other callers
_STOP: Final = 5.0
_DRAIN: Final = "--drain_seconds=0.5"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class VerificationTarget:
    """Where models are served: ``kind`` is embedded, docker or address; ``name`` is its name in reports.

    ``address`` and ``rest`` are the gRPC and REST addresses of a server that already runs.
    """

    kind: Literal["embedded", "docker", "address"]
    name: str
    image: str = ""
    address: str = ""
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class ServingEndpoint:
    """A server that answers, started for the verification or not.

    Attributes:
        grpc_address: where it answers over gRPC.
        rest_address: where it answers over REST, ``None``: not at all.
        deployment: what it was started with, ``None`` for a server that already ran.
        server: its process or container, ``None`` for a server that already ran.
        start_seconds: how long its start took.
        template: the deployment file whose TLS settings count for a server that already ran.
    """

    grpc_address: str
    rest_address: str | None
    deployment: Deployment | None
    server: StartedServer | None = None
    start_seconds: float = 0.0
    template: Deployment | None = None

    def grpc(self, timeout: float) -> Client:
        """Return a gRPC client that neither checks inputs nor retries."""
        deployment = self.deployment or self.template
        if deployment is not None:
            return client_for(deployment, self.grpc_address, timeout=timeout, retries=1, check=False)
        return Client(self.grpc_address, timeout=timeout, retries=1, check=False)

    def rest(self, timeout: float) -> RestClient | None:
        """Return such a REST client, ``None`` without a REST API."""
        if self.rest_address is None:
            return None
        return RestClient(self.rest_address, timeout=timeout, retries=1, check=False)

    @property
    def batching(self) -> bool | None:
        """Whether the server batches requests; ``None``: unknown."""
        return None if self.deployment is None else self.deployment.batching is not None


def traits_on(template: Deployment | None, targets: Sequence[VerificationTarget]) -> ServerTraits:
    """Return what lint needs to know of the servers: as the deployment says, the oldest release of other images."""
    traits = server_traits(template)
    docker = None if template is None else template.server.docker
    images = {target.image for target in targets if target.image}
    if docker is None or docker.allow_newer_tensorflow or not images:
        return traits
    releases = [docker.release if image == docker.image else _release_of(image) for image in images]
    known = [release for release in releases if release is not None]
    return dataclasses.replace(traits, release=min(known, default=None))


def _release_of(image: str) -> tuple[int, int] | None:
    reference = Image.parse(image)
    return None if reference is None else reference.release


def verification_targets(
    target: str | None, images: Sequence[str], deployment: Deployment | None
) -> list[VerificationTarget]:
    """Return the targets to verify on; ``UsageError`` for an invalid one."""
    of_file = deployment.server if deployment is not None else Server()
    if target is None:
        target = DOCKER if images else of_file.target
    if images and target != DOCKER:
        raise UsageError(f"--image needs the target docker, not {target}", hint="use --target docker, or drop --image")
    if target == EMBEDDED:
        return [VerificationTarget(EMBEDDED, EMBEDDED)]
    if target == DOCKER:
        own = [of_file.docker.image] if of_file.docker is not None else [DEFAULT_IMAGE]
        return [VerificationTarget(DOCKER, f"docker {image}", image=image) for image in images or own]
    return [_address(target)]


def _address(text: str) -> VerificationTarget:
    try:
        grpc, rest = read_server(text)
    except UsageError as error:
        targets = "targets: embedded, docker, HOST:PORT, HOST:PORT/RESTPORT"
        hint = did_you_mean(text, ("embedded", "docker"), otherwise=targets)
        raise UsageError(f"unknown target: {text}", hint=hint) from error
    return VerificationTarget("address", text, address=str(grpc), rest=None if rest is None else str(rest))


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Yield a temporary folder for the files of a server, readable for a container's user."""
    with tempfile.TemporaryDirectory(prefix="tfs-deploy-verify-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def serving(
    target: VerificationTarget, models: Sequence[Model], template: Deployment | None, folder: Path, *, timeout: float
) -> Iterator[ServingEndpoint]:
    """Serve models on a target until the block ends, and yield where; each load is tried once.

    Args:
        target: the kind of server, its image or its address.
        models: the models to serve.
        template: the deployment file whose flags, batching, TLS and container settings apply, if there is one.
        folder: an empty folder for config and log.
        timeout: seconds until the ports must be open, which they are once all models are loaded.

    Raises:
        LaunchError: the server ended, with its reason, or did not answer in time.
        EnvironmentFault: the server cannot be started on this machine.
    """
    if target.kind == "address":
        yield ServingEndpoint(target.address, target.rest, None, template=template)
        return
    deployment = _deployment(target, models, template, folder)
    began = time.monotonic()
    for attempt in range(_ATTEMPTS):
        write_config(deployment, deployment.config_dir)
        try:
            started = _start(deployment, timeout)
            break
        except PortInUseError:  # another process took a port in between
            if attempt == _ATTEMPTS - 1:
                raise
            deployment = _deployment(target, models, template, folder)
    try:
        seconds = time.monotonic() - began
        yield ServingEndpoint(started.grpc_address, started.rest_address, deployment, started, seconds)
    finally:
        _discard(deployment, started)


def _deployment(
    target: VerificationTarget, models: Sequence[Model], template: Deployment | None, folder: Path
) -> Deployment:
    grpc, rest = free_ports(2)
    base = template or Deployment("verify", folder / "verify.yaml", folder / "state", ())
    kind: Literal["embedded", "docker"] = DOCKER if target.kind == DOCKER else EMBEDDED
    rest = rest if base.server.rest_port else 0
    server = dataclasses.replace(
        base.server, target=kind, grpc_port=grpc, rest_port=rest, alternate_ports=None, embedded=None, docker=None
    )
    # one attempt, whatever the file says: a retry would only hide that the first load fails
    flags = {**server.flags, "max_num_load_retries": 0, "load_retry_interval_micros": 0}
    server = dataclasses.replace(server, flags=flags)
    if kind == DOCKER:
        own = base.server.docker
        docker = Docker(target.image) if own is None else dataclasses.replace(own, image=target.image)
        server = dataclasses.replace(server, docker=dataclasses.replace(docker, address="127.0.0.1", restart="never"))
    return dataclasses.replace(base, state_dir=folder / "state", models=tuple(models), server=server)


def _start(deployment: Deployment, timeout: float) -> StartedServer:
    if deployment.server.target == EMBEDDED:
        require_extra("tensorflow", "server")
        flags = [*server_flags(deployment, deployment.config_dir), _DRAIN]
        # not detached: the server ends with this process, however this process ends
        return EmbeddedLauncher().start(flags, log_path=log_path(deployment.state_dir), timeout=timeout)
    from tfs_deploy.launch.docker.target import DockerTarget

    server = deployment.server
    ports = ServerPorts(server.grpc_port, server.rest_port)
    return DockerTarget(deployment).start(deployment, ports, deployment.config_dir, successor=False, timeout=timeout)


def _discard(deployment: Deployment, started: StartedServer) -> None:
    if deployment.server.target == EMBEDDED:
        started.stop(_STOP)
        return
    from tfs_deploy.launch.docker.target import DockerTarget

    DockerTarget(deployment).clear()
