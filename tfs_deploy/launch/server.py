# SPDX-License-Identifier: Apache-2.0
"""One started server, whatever it runs in, the ports that lead to it, and who else answers on them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tfs_deploy.errors import PortInUseError, TfsDeployError
from tfs_deploy.host.tcp_ports import find_listener, require_free
from tfs_deploy.state.config_generations import NAME as CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tfs_deploy.host.usage import Usage

#: seconds after which a server that was asked to stop is killed: the embedded server answers what it has for 5
STOP_TIMEOUT: Final = 15.0
_CONFIG_FLAG: Final = "--model_config_file"


@dataclass(frozen=True, slots=True)
class ServerPorts:
    """The ports of this machine that lead to a server; ``rest`` 0 means no REST."""

    grpc: int
    rest: int = 0

    def __and__(self, other: ServerPorts) -> set[int]:
        """Return the ports that both have."""
        return {self.grpc, self.rest} & {other.grpc, other.rest} - {0}

    def without(self, taken: Iterable[ServerPorts]) -> ServerPorts:
        """Return these ports with 0 instead of those that are in ``taken``."""
        found = {port for ports in taken for port in (ports.grpc, ports.rest)}
        return ServerPorts(*(0 if port in found else port for port in (self.grpc, self.rest)))

    def __str__(self) -> str:
        return f"gRPC port {self.grpc}" + (f" and REST port {self.rest}" if self.rest else "")


@dataclass(frozen=True, slots=True)
class PortOwner:
    """What listens on a port: ``text`` names it; ``state_dir`` is that of the deployment whose config it reads."""

    text: str
    state_dir: Path | None = None


def port_owner(port: int, publisher: Callable[[int], str | None] | None = None) -> PortOwner:
    """Return who listens on ``port``; ``publisher`` returns the container that publishes one."""
    if publisher is not None:
        with contextlib.suppress(TfsDeployError):  # an engine that does not answer knows nothing
            container = publisher(port)
            if container is not None:
                return PortOwner(f"container {container}")
    listener = find_listener(port)
    if listener is None:
        return PortOwner("a process of another user")
    state_dir = state_dir_of(listener.words)
    if state_dir is None:
        return PortOwner(str(listener))
    where = f"process {listener.pid}, state in {state_dir}"
    return PortOwner(f"the server of deployment {state_dir.name!r} ({where})", state_dir)


def state_dir_of(words: Sequence[str]) -> Path | None:
    """Return the state directory out of the command line of a server that ``up`` started, None for any other."""
    for place, word in enumerate(words):
        flag, _, value = word.partition("=")
        if flag.lstrip("-") != _CONFIG_FLAG.lstrip("-"):
            continue
        folder = Path(value or "".join(words[place + 1 : place + 2])).parent
        if folder.name == CONFIG or folder.name.startswith(f"{CONFIG}."):
            return folder.parent
    return None


def port_problems(
    ports: ServerPorts, publisher: Callable[[int], str | None] = lambda _port: None
) -> Iterator[PortInUseError]:
    """Yield an error for each port that is in use; ``publisher`` returns the container that publishes a port."""
    for port, key in ((ports.grpc, "grpc_port"), (ports.rest, "rest_port")):
        problem = _port_problem(port, key) if port else None
        container = publisher(port) if problem is not None else None
        if container is not None:
            hint = f"docker stop {container}, or choose another {key}"
            problem = PortInUseError(f"port {port} is in use by container {container}", hint=hint)
        if problem is not None:
            yield problem


def _port_problem(port: int, key: str) -> PortInUseError | None:
    try:
        require_free(port, key)
    except PortInUseError as error:
        owner = port_owner(port)
        if owner.state_dir is None:
            return error
        return PortInUseError(f"port {port} is in use by {owner.text}", hint=f"choose another {key}")
    return None


class StartedServer(Protocol):
    """One started server; ``settings`` is what it read once, at its start (see ``start_settings``)."""

    @property
    def name(self) -> str:
        """What messages call it: ``server 123``, ``container tfs-deploy-shop-0a1b2c3d``."""

    @property
    def pid(self) -> int | None:
        """Its process id on this machine, None if it has none."""

    @property
    def ports(self) -> ServerPorts:
        """The ports of this machine that lead to it."""

    @property
    def grpc_address(self) -> str:
        """``HOST:PORT`` of its gRPC API."""

    @property
    def rest_address(self) -> str | None:
        """``HOST:PORT`` of its REST API, None without."""

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings it was started with."""

    @property
    def config_dir(self) -> Path:
        """The directory on this machine that it reads its config from."""

    def alive(self) -> bool:
        """Tell whether it runs."""

    def stop(self, timeout: float) -> bool:
        """Stop it, by force after ``timeout`` seconds; return whether it ended by itself."""

    def usage(self) -> Usage:
        """Return its CPU, memory and network use now."""

    def follow(self) -> Iterator[str]:
        """Yield what is added to its log from now on, until it ends."""

    def log_lines(self, count: int = 20) -> list[str]:
        """Return the last lines of its log."""
