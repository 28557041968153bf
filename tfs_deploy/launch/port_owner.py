"""Who answers on a port of this machine: the server of a deployment, a container, any other process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.tcp_ports import find_listener
from tfs_deploy.state.config_generations import NAME as CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CONFIG_FLAG: Final = "--model_config_file"


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
