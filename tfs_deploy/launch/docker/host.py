"""The servers of one deployment as containers: found by name and label, so that nothing on disk is needed for it."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.config.files import SSL
from tfs_deploy.errors import LaunchError, PortInUseError, TfsDeployError, UsageError
from tfs_deploy.host.signals import signals_later
from tfs_deploy.host.tcp_ports import is_free, require_free
from tfs_deploy.launch.docker.container import BINARY, container_config, container_name, restart_policy, user_of
from tfs_deploy.launch.docker.container_server import ContainerServer
from tfs_deploy.launch.docker.engine import Engine, translated
from tfs_deploy.launch.docker.mount_access import require_readable
from tfs_deploy.launch.embedded.launcher import answers
from tfs_deploy.launch.logs import reason, tail
from tfs_deploy.launch.start_settings import settings_of
from tfs_deploy.state.server_log import failed_log_path, keep_failed_log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.docker import Docker
    from tfs_deploy.launch.docker.container import Ports

_POLL: Final = 0.1
_LAST_WORDS: Final = 200
#: the init process's own exit codes for a program that cannot be run
_NOT_FOUND: Final = (126, 127)


class DockerHost:
    """See ``server.Host``."""

    def __init__(
        self,
        deployment: Deployment,
        engine: Engine | None = None,
        *,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._deployment = deployment
        self._name = container_name(deployment)
        self._progress = progress
        self.engine = engine or Engine()

    def heal(self) -> list[str]:
        """Remove the successor of a replacement that was cut off; its predecessor is back if nothing else is there."""
        notes = []
        left, old = self._find("-next"), self._find("-old")
        if left is not None:
            left.remove()
            notes.append(f"removed {left.name}, left over from a replacement that was cut off")
        if old is not None and self._find() is None:
            self._rename(old, self._name)
            notes.append(f"{old.name} is the one in use again: its replacement was cut off")
        elif old is not None:
            old.stop(_STOP)
            old.remove()
            notes.append(f"removed {old.name}, which had been replaced")
        return notes

    def current(self) -> ContainerServer | None:
        """Return the container in use if it runs."""
        found = self._find()
        return found if found is not None and found.alive() else None

    def ended(self) -> bool:
        """Tell whether the container in use ended without being asked."""
        found = self._find()
        return found is not None and not found.alive()

    def explain_end(self) -> str:
        """Say why the container in use ended."""
        found = self._find()
        return "" if found is None else found.explain_end()

    def start(
        self, served: Deployment, ports: Ports, config_dir: Path, *, successor: bool, timeout: float
    ) -> ContainerServer:
        """Create and start a container and wait for its ports."""
        docker = served.server.docker
        if docker is None:
            raise UsageError("the deployment has no container", hint="server.docker.image names one")
        self.engine.require_image(docker, self._progress)
        user = user_of(docker, os.getuid(), os.getgid(), mapped=self.engine.mapped)
        require_readable(served, user, mapped=self.engine.mapped)
        self._require_ports(ports)
        _own_key(config_dir / SSL, user)
        body = container_config(
            served,
            docker,
            flags=server_flags(served, config_dir),
            config_dir=config_dir,
            ports=ports,
            user=user,
            settings=settings_of(served),
        )
        name = f"{self._name}-next" if successor else self._name
        earlier = ContainerServer.find(self.engine, name)
        if earlier is not None:
            self._keep_log(earlier)
            earlier.remove()
        try:
            server = self._create(body, name, docker)
            with translated():
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
        hint = "\n  ".join([f"{how}; the end of its log (tfs-deploy logs shows more):", *lines[-10:]])
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

    def _require_ports(self, ports: Ports) -> None:
        for port, key in ((ports.grpc, "grpc_port"), (ports.rest, "rest_port")):
            if not port or is_free(port):
                continue
            holder = self.publisher(port)
            if holder is None:
                require_free(port, key)
            hint = f"docker stop {holder}, or choose another {key}"
            raise PortInUseError(f"port {port} is in use by container {holder}", hint=hint)

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

    def serving(self, server: ContainerServer) -> tuple[str, ...]:
        """Let the engine restart it from now on, as the file says."""
        docker = self._deployment.server.docker
        if docker is None or docker.restart == "never":
            return ()
        if self.engine.restarts(server.id, restart_policy(docker)):
            return ()
        return ("this engine cannot change a restart policy: if the server ends, it stays away until the next `up`",)

    def discard(self, server: ContainerServer, timeout: float) -> None:
        """Stop the container and remove it."""
        server.stop(timeout)
        server.remove()

    def clear(self) -> None:
        """Remove what does not run any more or was to be replaced."""
        for suffix in ("", "-next", "-old"):
            found = self._find(suffix)
            if found is not None:
                found.stop(_STOP)
                found.remove()

    def log(self, count: int) -> list[str] | None:
        """Return the last lines of the container's log, or of the last one that did not come up."""
        found = self._find()
        if found is not None:
            return found.log_lines(count)
        path = failed_log_path(self._deployment.state_dir)
        return tail(path, count) if path.exists() else None

    def _find(self, suffix: str = "") -> ContainerServer | None:
        return ContainerServer.find(self.engine, self._name + suffix)

    def _rename(self, server: ContainerServer, name: str) -> None:
        with translated():
            self.engine.api.rename(server.id, name)
        server.look()


_STOP: Final = 15.0


def _own_key(path: Path, user: str) -> None:
    """Give the file with the private key to the container's user, who alone may read it."""
    if path.exists() and os.geteuid() == 0:
        uid, _, gid = user.partition(":")
        os.chown(path, int(uid), int(gid or -1))
