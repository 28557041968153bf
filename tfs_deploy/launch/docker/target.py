# SPDX-License-Identifier: Apache-2.0
"""The servers of one deployment as containers: found by name and label without any file on disk."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.config.files import SSL
from tfs_deploy.deployment.docker import user_of
from tfs_deploy.errors import LaunchError, TfsDeployError, UsageError
from tfs_deploy.host.posix import user_ids
from tfs_deploy.host.signals import signals_later
from tfs_deploy.launch.docker.container import BINARY, container_config, container_name, restart_policy
from tfs_deploy.launch.docker.container_server import ContainerServer
from tfs_deploy.launch.docker.engine import DockerEngine, image_not_here, translated
from tfs_deploy.launch.docker.mount_access import own_key, require_model_access
from tfs_deploy.launch.docker.settings import container_settings, image_line, mounted_directories
from tfs_deploy.launch.logs import around_reason, reason, tail
from tfs_deploy.launch.memory import MemoryLimit
from tfs_deploy.launch.port_probe import answers
from tfs_deploy.launch.server import STOP_TIMEOUT, port_problems
from tfs_deploy.launch.target import Leftover
from tfs_deploy.state.server_log import failed_log_path, keep_failed_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker
    from tfs_deploy.launch.server import ServerPorts

_POLL: Final = 0.1
_LAST_WORDS: Final = 200
#: exit codes of the init process for a program that cannot be run
_NOT_FOUND: Final = (126, 127)


class DockerTarget:
    """See ``LaunchTarget``."""

    def __init__(
        self,
        deployment: Deployment,
        engine: DockerEngine | None = None,
        *,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._deployment = deployment
        self._name = container_name(deployment)
        self._progress = progress
        self.engine = engine or DockerEngine()

    def leftovers(self) -> list[Leftover]:
        """Return the containers of a replacement that was cut off."""
        found = []
        left, old = self._find("-next"), self._find("-old")
        if left is not None:
            found.append(Leftover(f"remove {left.name}, left over from a replacement that was cut off", left.ports))
        if old is not None and self._find() is None:
            found.append(Leftover(f"put {old.name} back in use: its replacement was cut off"))
        elif old is not None:
            found.append(Leftover(f"remove {old.name}, which has been replaced", old.ports))
        return found

    def clear_leftovers(self) -> list[str]:
        """Remove what a cut-off replacement left; without any other, the old container is in use again."""
        notes = []
        left, old = self._find("-next"), self._find("-old")
        if left is not None:
            left.remove()
            notes.append(f"removed {left.name}, left over from a replacement that was cut off")
        if old is not None and self._find() is None:
            self._rename(old, self._name)
            notes.append(f"{old.name} is the one in use again: its replacement was cut off")
        elif old is not None:
            old.stop(STOP_TIMEOUT)
            old.remove()
            notes.append(f"removed {old.name}, which had been replaced")
        return notes

    def problems(self, served: Deployment, ports: ServerPorts) -> Iterator[TfsDeployError]:
        """Yield an error if the container's user may not read the models or the image may not be pulled, and for each
        port that is in use.
        """
        docker = served.server.docker
        if docker is not None:
            try:
                require_model_access(served, self._user(docker), mapped=self.engine.mapped)
            except UsageError as error:
                yield error
            if docker.pull == "never" and self.engine.image_id(docker.image) is None:
                yield image_not_here(docker)
        yield from port_problems(ports, self.publisher)

    def fetches(self) -> tuple[str, ...]:
        """Return the image, if it has to be pulled."""
        docker = self._deployment.server.docker
        if docker is None or docker.pull == "never":
            return ()
        if docker.pull == "always":
            return (f"pull image {docker.image} (server.docker.pull: always)",)
        if self.engine.image_id(docker.image) is None:
            return (f"pull image {docker.image}, which the engine does not have",)
        return ()

    def settings(self, served: Deployment) -> tuple[str, ...]:
        """Return the flags and config files of the server, and what its container is made with: mounts and image.

        An image that is not here cannot be compared: then the container keeps the one that it has.
        """
        docker = served.server.docker
        image = None if docker is None else self.engine.image_id(docker.image)
        current = self._find() if image is None else None
        image = image if current is None else current.image_id
        lines = (*container_settings(served), *mounted_directories(served))
        return lines if image is None else (*lines, image_line(image))

    def memory_limit(self) -> MemoryLimit | None:
        """Return the container's memory limit."""
        docker = self._deployment.server.docker
        return None if docker is None or docker.memory is None else MemoryLimit(docker.memory, "server.docker.memory")

    def current(self) -> ContainerServer | None:
        """Return the container in use if it runs; while a replacement is cut off, the one that was to be replaced."""
        found = self._find() or self._find("-old")
        return found if found is not None and found.alive() else None

    def ended(self) -> bool:
        """Tell whether the container in use ended without being asked to."""
        found = self._find()
        return found is not None and not found.alive()

    def explain_end(self) -> str:
        """Say why the container in use ended."""
        found = self._find()
        return "" if found is None else found.explain_end()

    def start(
        self, served: Deployment, ports: ServerPorts, config_dir: Path, *, successor: bool, timeout: float
    ) -> ContainerServer:
        """Create and start a container and wait for its ports."""
        docker = served.server.docker
        if docker is None:
            raise UsageError("the deployment has no section server.docker", hint="server.docker.image names the image")
        self.engine.require_image(docker, self._progress)
        for problem in self.problems(served, ports):
            raise problem
        user = self._user(docker)
        own_key(config_dir / SSL, user)
        body = container_config(
            served,
            docker,
            flags=server_flags(served, config_dir),
            config_dir=config_dir,
            ports=ports,
            user=user,
            settings=(*container_settings(served), *mounted_directories(served)),
        )
        name = f"{self._name}-next" if successor else self._name
        earlier = ContainerServer.find(self.engine, name)
        if earlier is not None:
            self._keep_log(earlier)
            earlier.remove()
        try:
            server = self._create(body, name, docker)
            with translated():
                for network in docker.networks[1:]:
                    self.engine.api.connect_container_to_network(server.id, network)
                self.engine.api.start(server.id)
            self._wait(server, timeout)
        except BaseException:
            self._remove(name)
            raise
        return server

    def _remove(self, name: str) -> None:
        # By name: an interrupt may have come before its id did. Where the engine is gone the next `up` removes it.
        with contextlib.suppress(TfsDeployError):
            left = ContainerServer.find(self.engine, name)
            if left is not None:
                left.remove()

    def _create(self, body: dict[str, object], name: str, docker: Docker) -> ContainerServer:
        # An interrupt in the middle would leave a container that the engine makes afterwards.
        with translated(), signals_later():
            made = self.engine.api.create_container_from_config(body, name, docker.platform)
        server = ContainerServer(self.engine, made["Id"])
        server.look()
        return server

    def _wait(self, server: ContainerServer, timeout: float) -> None:
        end = time.monotonic() + timeout
        waiting = [address for address in (server.grpc_address, server.rest_address) if address]
        while waiting:
            if not server.alive():
                raise self._ended(server)
            # The engine's own proxy accepts connections long before the server does.
            waiting = [address for address in waiting if not answers(address)]
            if waiting and time.monotonic() > end:
                raise self._too_slow(server, waiting, timeout)
            if waiting:
                time.sleep(_POLL)

    def _ended(self, server: ContainerServer) -> LaunchError:
        how, lines = server.explain_end(), self._keep_log(server)
        if server.exit_code() in _NOT_FOUND:
            hint = "is it an image of TensorFlow Serving? server.docker.image names it"
            return LaunchError(f"image {server.image} has no {BINARY} that runs here: {how}", hint=hint)
        why = reason(lines) or how
        hint = "\n  ".join([f"{how}; the end of its log (tfs-deploy logs shows more):", *around_reason(lines[-10:])])
        return LaunchError(f"the server did not start: {why}", hint=hint)

    def _too_slow(self, server: ContainerServer, waiting: list[str], timeout: float) -> LaunchError:
        lines = self._keep_log(server)
        return LaunchError(
            f"the server does not answer on {' and '.join(waiting)} after {timeout:g} s and was removed",
            hint="\n  ".join(["give it longer (--timeout); the end of its log:", *lines[-5:]]),
            retriable=True,
        )

    def _keep_log(self, server: ContainerServer) -> list[str]:
        lines = server.log_lines(_LAST_WORDS)
        keep_failed_log(self._deployment.state_dir, lines)
        return lines

    def publisher(self, port: int) -> str | None:
        """Return the name of the container that publishes a port of this machine."""
        with translated():
            for entry in self.engine.api.containers():
                if any(bound.get("PublicPort") == port for bound in entry.get("Ports") or ()):
                    return str(entry["Names"][0]).lstrip("/")
        return None

    def promote(self, successor: ContainerServer, current: ContainerServer | None) -> None:
        """Give the successor the name of the one in use."""
        if current is not None:
            self._rename(current, f"{self._name}-old")
        self._rename(successor, self._name)

    def pause(self, server: ContainerServer, timeout: float) -> None:
        """Stop the container; it stays."""
        server.stop(timeout)

    def resume(self, server: ContainerServer, timeout: float) -> None:
        """Start a stopped container again."""
        with translated():
            self.engine.api.start(server.id)
        self._wait(server, timeout)

    def keep_running(self, server: ContainerServer) -> tuple[str, ...]:
        """Let the engine restart it from now on, as the deployment file says."""
        docker = self._deployment.server.docker
        if docker is None or docker.restart == "never":
            return ()
        if self.engine.restarts(server.id, restart_policy(docker)):
            return ()
        return ("this engine cannot change a restart policy: a server that ends stays down until the next `up`",)

    def discard(self, server: ContainerServer, timeout: float) -> None:
        """Stop the container and remove it."""
        server.stop(timeout)
        server.remove()

    def clear(self) -> None:
        """Stop and remove every container of the deployment."""
        for suffix in ("", "-next", "-old"):
            found = self._find(suffix)
            if found is not None:
                found.stop(STOP_TIMEOUT)
                found.remove()

    def log(self, count: int) -> list[str] | None:
        """Return the last lines of the container's log, or of the last one that did not start."""
        found = self._find()
        if found is not None:
            return found.log_lines(count)
        path = failed_log_path(self._deployment.state_dir)
        return tail(path, count) if path.exists() else None

    def _user(self, docker: Docker) -> str:
        return user_of(docker, *user_ids(), mapped=self.engine.mapped)

    def _find(self, suffix: str = "") -> ContainerServer | None:
        return ContainerServer.find(self.engine, self._name + suffix)

    def _rename(self, server: ContainerServer, name: str) -> None:
        with translated():
            self.engine.api.rename(server.id, name)
        server.look()
