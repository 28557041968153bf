# SPDX-License-Identifier: Apache-2.0
"""Starting the toolkit's own server as a process on this machine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import LaunchError, PortInUseError
from tfs_deploy.host.addresses import LOOPBACK, reached_from_here
from tfs_deploy.host.python_module import module_command
from tfs_deploy.host.tcp_ports import find_listener, is_free, require_free
from tfs_deploy.launch.embedded.process import Process
from tfs_deploy.launch.embedded.running_server import RunningServer
from tfs_deploy.launch.exit_status import describe_exit
from tfs_deploy.launch.logs import around_reason, reason
from tfs_deploy.launch.port_probe import accepts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_POLL: Final = 0.05


class EmbeddedLauncher:
    """Starts ``python -m tfs_deploy.server``; the server opens its ports once its first models are loaded.

    ``command`` replaces the program, ``environment`` adds to that of this process.
    """

    def __init__(self, command: Sequence[str] | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        self._command = list(command or module_command("tfs_deploy.server"))
        self._environment = dict(environment or {})

    def start(
        self,
        flags: Sequence[str],
        *,
        log_path: Path,
        detach: bool = False,
        timeout: float = 120.0,
        on_spawn: Callable[[RunningServer], None] | None = None,
    ) -> RunningServer:
        """Start a server and wait until its ports answer.

        A detached server outlives this process; any other ends with it, however it ends. ``on_spawn`` is called as
        soon as the process exists, before its ports answer.

        Raises:
            PortInUseError: one of its ports is in use; nothing was started.
            LaunchError: it ended or did not answer within ``timeout`` seconds; its process is gone then.
        """
        grpc_port, rest_port = port_of(flags, "port", 8500), port_of(flags, "rest_api_port", 0)
        for port, key in ((grpc_port, "grpc_port"), (rest_port, "rest_port")):
            if port:
                require_free(port, key)
        own = [] if detach else ["--exit_with_parent=true"]
        log_start = log_path.stat().st_size if log_path.exists() else 0
        process = Process.spawn(
            [*self._command, *flags, *own], log_path=log_path, environment={**os.environ, **self._environment}
        )
        listens = flag_value(flags, "address") or LOOPBACK
        grpc_address, rest_address = (str(reached_from_here(listens, port)) for port in (grpc_port, rest_port))
        server = RunningServer(
            process, grpc_address, rest_address if rest_port else None, log_path, tuple(flags), log_start
        )
        try:
            if on_spawn is not None:
                on_spawn(server)
            wait_for_ports(server, timeout)
        except BaseException:
            server.stop()
            raise
        return server


def port_of(flags: Sequence[str], name: str, default: int) -> int:
    """Return the port that a flag sets."""
    return int(flag_value(flags, name) or default)


def flag_value(flags: Sequence[str], name: str) -> str | None:
    """Return the value of a flag, None if it is not given; the last one wins, as in the server."""
    values = [flag.partition("=")[2] for flag in flags if flag.partition("=")[0] == f"--{name}"]
    return values[-1] if values else None


def wait_for_ports(server: RunningServer, timeout: float) -> None:
    """Wait until a server accepts connections on its ports; raises ``LaunchError`` if it ends or takes too long."""
    end = time.monotonic() + timeout
    waiting = [address for address in (server.grpc_address, server.rest_address) if address]
    while waiting:
        if not server.alive():
            raise _ended(server)
        waiting = [address for address in waiting if not accepts(address)]
        if not waiting:
            break
        if time.monotonic() > end:
            raise _too_slow(server, waiting, timeout)
        time.sleep(_POLL)
    for address in (server.grpc_address, server.rest_address):
        if address:
            _require_own(server, address)


def _require_own(server: RunningServer, address: str) -> None:
    # Another program may have taken the port after it was found free.
    port = _port_in(address)
    listener = find_listener(port)
    if listener is not None and listener.pid != server.pid:
        raise PortInUseError(f"port {port} was taken by {listener} while the server started", retriable=True)


def _port_in(address: str) -> int:
    return int(address.rpartition(":")[2])


def _ended(server: RunningServer) -> LaunchError | PortInUseError:
    lines = server.log_lines(10)
    how = describe_exit(server.exit_code)
    for address in (server.grpc_address, server.rest_address):
        if address and not is_free(_port_in(address)):
            message = f"port {_port_in(address)} was taken while the server started: {reason(lines) or how}"
            return PortInUseError(message, hint="start it again, or choose another port", retriable=True)
    known = f"{how}; " if server.exit_code is not None else ""
    return LaunchError(
        f"the server did not start: {reason(lines) or how}",
        hint="\n  ".join([f"{known}the end of its log {server.log_path}:", *around_reason(lines)]),
    )


def _too_slow(server: RunningServer, waiting: list[str], timeout: float) -> LaunchError:
    lines = server.log_lines(5)
    return LaunchError(
        f"the server does not answer on {' and '.join(waiting)} after {timeout:g} s and was stopped",
        hint="\n  ".join([f"give it longer, or see its log {server.log_path}:", *lines]),
        retriable=True,
    )
