"""A server to ask: started for the verification and gone after it, or one that runs somewhere."""

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
from tfs_deploy.errors import PortInUseError, UsageError
from tfs_deploy.extras import require_extra
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.launch.connect import dial
from tfs_deploy.launch.docker.container import Ports
from tfs_deploy.launch.embedded.launcher import EmbeddedLauncher
from tfs_deploy.state.server_log import log_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfs_deploy.deployment import Model
    from tfs_deploy.launch.server import Server as Started

EMBEDDED: Final = "embedded"
DOCKER: Final = "docker"
DEFAULT_IMAGE: Final = "tensorflow/serving:2.19.1"
#: seconds until a server of our own is ended by force; nobody else waits for its answers
_STOP: Final = 5.0
_DRAIN: Final = "--drain_seconds=0.5"
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Target:
    """Where models are served: ``kind`` is embedded, docker or address; ``name`` is what reports call it.

    ``address`` is that of a server that runs already, ``rest`` the port of its REST API.
    """

    kind: Literal["embedded", "docker", "address"]
    name: str
    image: str = ""
    address: str = ""
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that answers; ``started`` is ``None`` for one that ran already, ``seconds`` is what its start took.

    ``deployment`` is what it was started with, ``template`` the deployment file whose TLS counts for one that was not.
    """

    grpc_address: str
    rest_address: str | None
    deployment: Deployment | None
    started: Started | None = None
    seconds: float = 0.0
    template: Deployment | None = None

    def grpc(self, timeout: float) -> Client:
        """Return a gRPC client that sends what it is given, once."""
        deployment = self.deployment or self.template
        if deployment is not None:
            return dial(deployment, self.grpc_address, timeout=timeout, retries=1, check=False)
        return Client(self.grpc_address, timeout=timeout, retries=1, check=False)

    def rest(self, timeout: float) -> RestClient | None:
        """Return a REST client, ``None`` where there is no REST API."""
        if self.rest_address is None:
            return None
        return RestClient(self.rest_address, timeout=timeout, retries=1, check=False)

    @property
    def batching(self) -> bool | None:
        """Whether the server batches requests, ``None`` where that is not known."""
        return None if self.deployment is None else self.deployment.batching is not None


def targets_of(target: str | None, images: Sequence[str], deployment: Deployment | None) -> list[Target]:
    """Return the servers to verify on, in turn; ``UsageError`` for a target that is none."""
    of_file = deployment.server if deployment is not None else Server()
    if target is None:
        target = DOCKER if images else of_file.target
    if images and target != DOCKER:
        raise UsageError(f"--image names containers, and the target is {target}", hint="--target docker, or no --image")
    if target == EMBEDDED:
        return [Target(EMBEDDED, EMBEDDED)]
    if target == DOCKER:
        own = [of_file.docker.image] if of_file.docker is not None else [DEFAULT_IMAGE]
        return [Target(DOCKER, f"docker {image}", image=image) for image in images or own]
    return [_address(target)]


def _address(text: str) -> Target:
    address, slash, rest = text.strip().partition("/")
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or (slash and not rest.isdecimal()):
        hint = "embedded, docker, HOST:PORT, or HOST:PORT/RESTPORT"
        raise UsageError(f"{text!r} is no target", hint=hint)
    return Target("address", text, address=address, rest=f"{host}:{rest}" if rest else None)


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """Make a folder for what a server reads and writes; it is gone afterwards. A container's user may enter it."""
    with tempfile.TemporaryDirectory(prefix="tfs-deploy-verify-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextlib.contextmanager
def serving(
    target: Target, models: Sequence[Model], template: Deployment | None, folder: Path, *, timeout: float
) -> Iterator[Endpoint]:
    """Serve models on a target until the block ends; loads are tried once.

    Args:
        target: where.
        models: what the server is told to serve.
        template: the deployment whose flags, batching, TLS and container settings count, if it is a file's.
        folder: an empty folder for config and log.
        timeout: seconds until its ports have to be open, which they are once everything is loaded.

    Raises:
        LaunchError: the server ended, with its own reason, or did not answer in time.
        EnvironmentFault: it cannot be started on this machine.
    """
    if target.kind == "address":
        yield Endpoint(target.address, target.rest, None, template=template)
        return
    deployment = _deployment(target, models, template, folder)
    began = time.monotonic()
    for attempt in range(_ATTEMPTS):
        write_config(deployment, deployment.config_dir)
        try:
            started = _start(deployment, timeout)
            break
        except PortInUseError:  # somebody else was faster: these ports are anybody's
            if attempt == _ATTEMPTS - 1:
                raise
            deployment = _deployment(target, models, template, folder)
    try:
        seconds = time.monotonic() - began
        yield Endpoint(started.grpc_address, started.rest_address, deployment, started, seconds)
    finally:
        _discard(deployment, started)


def _deployment(target: Target, models: Sequence[Model], template: Deployment | None, folder: Path) -> Deployment:
    grpc, rest = free_ports(2)
    base = template or Deployment("verify", folder / "verify.yaml", folder / "state", ())
    kind: Literal["embedded", "docker"] = DOCKER if target.kind == DOCKER else EMBEDDED
    rest = rest if base.server.rest_port else 0
    server = dataclasses.replace(
        base.server, target=kind, grpc_port=grpc, rest_port=rest, alternate_ports=None, docker=None
    )
    # one attempt, whatever the file says: a second one would only take time
    flags = {**server.flags, "max_num_load_retries": 0, "load_retry_interval_micros": 0}
    server = dataclasses.replace(server, flags=flags)
    if kind == DOCKER:
        own = base.server.docker
        docker = Docker(target.image) if own is None else dataclasses.replace(own, image=target.image)
        server = dataclasses.replace(server, docker=dataclasses.replace(docker, address="127.0.0.1", restart="never"))
    return dataclasses.replace(base, state_dir=folder / "state", models=tuple(models), server=server)


def _start(deployment: Deployment, timeout: float) -> Started:
    if deployment.server.target == EMBEDDED:
        require_extra("tensorflow", "server")
        flags = [*server_flags(deployment, deployment.config_dir), _DRAIN]
        # not detached: it ends with this process, however this process ends
        return EmbeddedLauncher().start(flags, log_path=log_path(deployment.state_dir), timeout=timeout)
    from tfs_deploy.launch.docker.host import DockerHost

    server = deployment.server
    ports = Ports(server.grpc_port, server.rest_port)
    return DockerHost(deployment).start(deployment, ports, deployment.config_dir, successor=False, timeout=timeout)


def _discard(deployment: Deployment, started: Started) -> None:
    if deployment.server.target == EMBEDDED:
        started.stop(_STOP)
        return
    from tfs_deploy.launch.docker.host import DockerHost

    DockerHost(deployment).clear()
