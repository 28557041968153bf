# SPDX-License-Identifier: Apache-2.0
"""The servers of one deployment as processes of this machine, each with a record in the state directory."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.launch.embedded.launcher import EmbeddedLauncher
from tfs_deploy.launch.embedded.record import record_server, running_server
from tfs_deploy.launch.logs import tail
from tfs_deploy.launch.server import STOP_TIMEOUT, port_problems
from tfs_deploy.launch.start_settings import start_settings
from tfs_deploy.launch.target import Leftover
from tfs_deploy.state.server_log import log_path, set_aside
from tfs_deploy.state.server_record import Role, read_server, remove_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.embedded.running_server import RunningServer
    from tfs_deploy.launch.server import ServerPorts


class EmbeddedTarget:
    """See ``LaunchTarget``."""

    def __init__(self, deployment: Deployment, launcher: EmbeddedLauncher | None = None) -> None:
        self._state_dir = deployment.state_dir
        self._launcher = launcher or EmbeddedLauncher()

    def leftovers(self) -> list[Leftover]:
        """Return the servers and records of a replacement that was cut off."""
        found = []
        for role in (Role.SUCCESSOR, Role.PREDECESSOR):
            server = self._left(role)
            if server is not None:
                found.append(
                    Leftover(f"stop {server.name}, left over from a replacement that was cut off", server.ports)
                )
            elif read_server(self._state_dir, role) is not None:
                found.append(Leftover(f"remove {role.value}, left over from a replacement that was cut off"))
        return found

    def clear_leftovers(self) -> list[str]:
        """Stop the servers of a replacement that was cut off."""
        notes = []
        for role in (Role.SUCCESSOR, Role.PREDECESSOR):
            server = self._left(role)
            if server is not None:
                server.stop(STOP_TIMEOUT)
                notes.append(f"stopped {server.name}, left over from a replacement that was cut off")
            remove_server(self._state_dir, role)
        return notes

    def _left(self, role: Role) -> RunningServer | None:
        """Return the running server of a record unless it is the one in use."""
        left, current = running_server(self._state_dir, role), self.current()
        return None if left is None or (current is not None and left.pid == current.pid) else left

    def problems(self, served: Deployment, ports: ServerPorts) -> Iterator[TfsDeployError]:  # noqa: ARG002
        """Yield an error for each port that is in use."""
        return port_problems(ports)

    def settings(self, served: Deployment) -> tuple[str, ...]:
        """Return the flags and config files of the server."""
        return start_settings(served)

    def fetches(self) -> tuple[str, ...]:
        """Return nothing: the server is installed."""
        return ()

    def memory_limit(self) -> None:
        """Return no limit: a process has the machine's memory."""

    def current(self) -> RunningServer | None:
        """Return the server in use if it runs."""
        return running_server(self._state_dir)

    def ended(self) -> bool:
        """Tell whether the server in use ended without being asked to."""
        return read_server(self._state_dir) is not None and self.current() is None

    def explain_end(self) -> str:
        """Return nothing: only a parent learns the exit code of a process."""
        return ""

    def start(
        self, served: Deployment, ports: ServerPorts, config_dir: Path, *, successor: bool, timeout: float
    ) -> RunningServer:
        """Start a process and wait for its ports."""
        role = Role.SUCCESSOR if successor else Role.CURRENT
        settings = start_settings(served)
        log = log_path(self._state_dir, successor=successor)
        set_aside(log)

        def record(server: RunningServer) -> None:
            server.settings = settings
            record_server(self._state_dir, server, role)

        on_these = dataclasses.replace(served.server, grpc_port=ports.grpc, rest_port=ports.rest)
        flags = server_flags(dataclasses.replace(served, server=on_these), config_dir)
        try:
            return self._launcher.start(flags, log_path=log, detach=True, timeout=timeout, on_spawn=record)
        except BaseException:
            remove_server(self._state_dir, role)
            raise

    def promote(self, successor: RunningServer, current: RunningServer | None) -> None:
        """Record the successor as the server in use."""
        if current is not None:
            record_server(self._state_dir, current, Role.PREDECESSOR)
        log = log_path(self._state_dir)
        set_aside(log)
        successor.log_path.replace(log)
        successor.log_path = log
        record_server(self._state_dir, successor)
        remove_server(self._state_dir, Role.SUCCESSOR)

    def pause(self, server: RunningServer, timeout: float) -> None:
        """Stop the process; its record stays."""
        server.stop(timeout)

    def resume(self, server: RunningServer, timeout: float) -> None:
        """Start the process again with the flags it had."""
        settings = server.settings

        def record(started: RunningServer) -> None:
            started.settings = settings
            record_server(self._state_dir, started)

        self._launcher.start(server.flags, log_path=server.log_path, detach=True, timeout=timeout, on_spawn=record)

    def keep_running(self, server: RunningServer) -> tuple[str, ...]:  # noqa: ARG002 - the protocol has it
        """Do nothing: nothing on this machine restarts a process."""
        return ()

    def discard(self, server: RunningServer, timeout: float) -> None:
        """Stop the process and remove its records."""
        server.stop(timeout)
        for role in Role:
            record = read_server(self._state_dir, role)
            if record is not None and record.pid == server.pid:
                remove_server(self._state_dir, role)

    def clear(self) -> None:
        """Remove the records of servers that ended, and stop those of a replacement that was cut off."""
        self.clear_leftovers()
        if self.current() is None:
            remove_server(self._state_dir)

    def log(self, count: int) -> list[str] | None:
        """Return the last lines of the server's log."""
        path = log_path(self._state_dir)
        return tail(path, count) if path.exists() else None
