# SPDX-License-Identifier: Apache-2.0
"""Starting a server and proving that it serves what it should; replacing one with another."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.config.files import write_config
from tfs_deploy.errors import LaunchError, TfsDeployError
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.launch.reload import wait_for_versions
from tfs_deploy.launch.server import STOP_TIMEOUT, ServerPorts
from tfs_deploy.state.config_generations import new_generation, use_generation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfs_deploy.launch.planning.observe import Connect, LaunchObservation
    from tfs_deploy.launch.server import StartedServer

#: seconds in which clients that follow the endpoint file have moved (they look every 0.2 s) and their calls have ended
DRAIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts servers of a deployment; ``timeout`` counts for each of them."""

    seen: LaunchObservation
    connect: Connect
    timeout: float

    def start(self, ports: ServerPorts, *, successor: bool) -> tuple[StartedServer, Path]:
        """Start a server on a config directory of its own, wait for its versions and compare its labels.

        Returns the server and its config directory. Nothing of it is left if this raises.
        """
        served, target = self.seen.served, self.seen.target
        end = time.monotonic() + self.timeout
        config_dir = new_generation(served.state_dir)
        write_config(served, config_dir, checksum=True)
        server: StartedServer = target.start(served, ports, config_dir, successor=successor, timeout=self.timeout)
        try:
            self._verify(server, end=end)
        except BaseException:
            with contextlib.suppress(TfsDeployError):
                target.discard(server, STOP_TIMEOUT)
            raise
        return server, config_dir

    def _verify(self, server: StartedServer, *, end: float) -> None:
        config = self.seen.facts.target
        with self.connect(self.seen.served, server.grpc_address) as client:
            wait_for_versions(client, config, self.seen.facts.on_disk, end=end)
            for model in config.model_config_list.config:
                for label, version in sorted(model.version_labels.items()):
                    found = client.metadata(model.name, label=label).version
                    if found != version:
                        raise LaunchError(f"label {label} of {model.name} points at version {found}, not at {version}")


@dataclass(frozen=True, slots=True)
class Replacement:
    """A server that replaced another; ``gap`` is the downtime in seconds, 0 where both ran."""

    server: StartedServer
    gap: float
    notes: tuple[str, ...]


def replace_beside(
    starter: Starter, current: StartedServer, ports: ServerPorts, *, on_switch: Callable[[StartedServer], None]
) -> Replacement:
    """Start a server on other ports beside ``current``, send clients there by ``on_switch``, then stop the old one.

    Raises:
        TfsDeployError: the new server did not start; the old one serves as before.
    """
    successor, config_dir = starter.start(ports, successor=True)
    notes = _promote(starter, successor, current, config_dir, on_switch)
    time.sleep(DRAIN)
    starter.seen.target.discard(current, STOP_TIMEOUT)
    return Replacement(successor, 0.0, notes)


def replace_in_place(
    starter: Starter, current: StartedServer, ports: ServerPorts, *, on_switch: Callable[[StartedServer], None]
) -> Replacement:
    """Prove a new server on unused ports, then stop ``current`` and start the new one on ``ports``.

    The downtime lasts from the stop of the old server until the new one serves.

    Raises:
        TfsDeployError: the new server did not start; the old one serves again.
    """
    target = starter.seen.target
    grpc, rest = free_ports(2)
    trial, _ = starter.start(ServerPorts(grpc, rest if ports.rest else 0), successor=True)
    target.discard(trial, STOP_TIMEOUT)
    began = time.monotonic()
    target.pause(current, STOP_TIMEOUT)
    try:
        successor, config_dir = starter.start(ports, successor=True)
    except BaseException:
        target.resume(current, starter.timeout)
        target.keep_running(current)
        raise
    gap = time.monotonic() - began
    notes = _promote(starter, successor, current, config_dir, on_switch)
    target.discard(current, STOP_TIMEOUT)
    return Replacement(successor, gap, notes)


def _promote(
    starter: Starter,
    successor: StartedServer,
    current: StartedServer,
    config_dir: Path,
    on_switch: Callable[[StartedServer], None],
) -> tuple[str, ...]:
    starter.seen.target.promote(successor, current)
    use_generation(starter.seen.served.state_dir, config_dir)
    notes = starter.seen.target.keep_running(successor)
    on_switch(successor)
    return notes
