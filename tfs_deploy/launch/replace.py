"""Another server in the place of one that serves: started and checked beside it before anybody is sent to it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.config.files import write_config
from tfs_deploy.errors import LaunchError, TfsDeployError
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.launch.connect import dial
from tfs_deploy.launch.converge import host_paths, versions_on_disk, wait_for_versions
from tfs_deploy.launch.docker.container import Ports
from tfs_deploy.launch.embedded.running_server import STOP_TIMEOUT
from tfs_deploy.state.config_generations import new_generation, use_generation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import Host, Server

#: seconds in which clients that follow the traffic file have moved (they look every 0.2 s) and their calls have ended
DRAIN: Final = 2.0


@dataclass(frozen=True, slots=True)
class Replaced:
    """A server in the place of another; ``gap`` is how many seconds nobody served, 0 where both ran."""

    server: Server
    gap: float
    notes: tuple[str, ...]


def ports_of(served: Deployment) -> Ports:
    """Return the ports that the file names first."""
    return Ports(served.server.grpc_port, served.server.rest_port)


def free_pair(served: Deployment, current: Ports) -> Ports | None:
    """Return the pair of the file's ports that a successor can use beside ``current``, None if there is none."""
    pairs = [ports_of(served)]
    if served.server.alternate_ports is not None:
        pairs.append(Ports(*served.server.alternate_ports))
    return next((pair for pair in pairs if not pair & current), None)


def start_verified(
    host: Host[Any], served: Deployment, target: Any, ports: Ports, *, successor: bool, timeout: float
) -> tuple[Server, Path]:
    """Start a server on a config directory of its own, wait for its versions and ask its labels.

    Returns the server and its config directory. Nothing of it is left if this raises.
    """
    end = time.monotonic() + timeout
    config_dir = new_generation(served.state_dir)
    write_config(served, config_dir)
    server = host.start(served, ports, config_dir, successor=successor, timeout=timeout)
    try:
        verify(served, server, target, end=end)
    except BaseException:
        with contextlib.suppress(TfsDeployError):
            host.discard(server, STOP_TIMEOUT)
        raise
    return server, config_dir


def verify(served: Deployment, server: Server, target: Any, *, end: float) -> None:
    """Wait until every version is available, and see that each label leads to its version."""
    with dial(served, server.grpc_address) as client:
        wait_for_versions(client, target, versions_on_disk(target, host_paths(served)), end=end)
        for model in served.models:
            for label, version in model.labels.items():
                found = client.metadata(model.name, label=label).version
                if found != version:
                    raise LaunchError(f"label {label} of {model.name} leads to version {found}, not to {version}")


def replace(
    host: Host[Any],
    served: Deployment,
    target: Any,
    current: Server,
    *,
    timeout: float,
    on_switch: Callable[[Server], None],
    drain: float = DRAIN,
) -> Replaced:
    """Put a new server in the place of ``current``; ``on_switch`` sends clients to it once it is proven.

    With a free pair of ports both run side by side and there is no gap. Else the new one is proven on other ports
    first, and the gap lasts from the stop of the old one until the new one serves on the ports of the file.

    Raises:
        TfsDeployError: the new server did not come up; the old one serves as before.
    """
    pair = free_pair(served, current.ports)
    if pair is None:
        return _replace_in_place(host, served, target, current, timeout=timeout, on_switch=on_switch)
    successor, config_dir = start_verified(host, served, target, pair, successor=True, timeout=timeout)
    host.promote(successor, current)
    use_generation(served.state_dir, config_dir)
    notes = host.serving(successor)
    on_switch(successor)
    time.sleep(drain)
    host.discard(current, STOP_TIMEOUT)
    return Replaced(successor, 0.0, notes)


def _replace_in_place(
    host: Host[Any],
    served: Deployment,
    target: Any,
    current: Server,
    *,
    timeout: float,
    on_switch: Callable[[Server], None],
) -> Replaced:
    trial, _ = start_verified(host, served, target, unused_ports(served), successor=True, timeout=timeout)
    host.discard(trial, STOP_TIMEOUT)
    began = time.monotonic()
    host.pause(current, STOP_TIMEOUT)
    try:
        successor, config_dir = start_verified(host, served, target, ports_of(served), successor=True, timeout=timeout)
    except BaseException:
        host.resume(current, timeout)
        host.serving(current)
        raise
    gap = time.monotonic() - began
    host.promote(successor, current)
    use_generation(served.state_dir, config_dir)
    notes = host.serving(successor)
    on_switch(successor)
    host.discard(current, STOP_TIMEOUT)
    return Replaced(successor, gap, notes)


def unused_ports(served: Deployment) -> Ports:
    """Return ports of this machine that nobody uses, for a server that only has to prove itself."""
    grpc, rest = free_ports(2)
    return Ports(grpc, rest if served.server.rest_port else 0)
