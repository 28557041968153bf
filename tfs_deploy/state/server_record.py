"""``server.json``: which process is the deployment's embedded server, and how it was started.

While a server is replaced there are two more such files: ``next.json`` of its successor, ``old.json`` of the server
that is to be stopped. Written under the deployment's lock, by ``up``, ``down`` and a rollout that restarts a server.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from tfs_deploy.host.machine import boot_id
from tfs_deploy.state.json_files import read_json, write_json

VERSION: Final = 1
_HINT: Final = "stop the server by hand if it runs, then delete the file"


class Role(enum.Enum):
    """What a server is to the deployment; the value is the name of its file."""

    CURRENT = "server.json"
    SUCCESSOR = "next.json"
    PREDECESSOR = "old.json"


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """One started server.

    ``started`` is the start time of process ``pid`` (see ``host.processes``), ``boot`` the boot of the machine in which
    both mean something; ``log_start`` is the size of the log before the start, ``settings`` what the server read then.
    """

    pid: int
    started: int
    boot: str
    grpc_address: str
    rest_address: str | None
    flags: tuple[str, ...]
    settings: tuple[str, ...]
    log: Path
    log_start: int

    @property
    def of_this_boot(self) -> bool:
        """Whether the machine has not been restarted since, so that the process may still run."""
        return self.boot == boot_id()


def write_server(state_dir: Path, record: ServerRecord, role: Role = Role.CURRENT) -> None:
    """Record a server."""
    document = {
        "pid": record.pid,
        "started": record.started,
        "boot": record.boot,
        "grpc_address": record.grpc_address,
        "rest_address": record.rest_address,
        "flags": list(record.flags),
        "settings": list(record.settings),
        "log": str(record.log),
        "log_start": record.log_start,
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_json(state_dir / role.value, document, version=VERSION, indent=2)


def read_server(state_dir: Path, role: Role = Role.CURRENT) -> ServerRecord | None:
    """Return a server's record, None if there is none; ``EnvironmentFault`` if it is damaged."""
    return read_json(state_dir / role.value, _record, known=VERSION, hint=_HINT)


def remove_server(state_dir: Path, role: Role = Role.CURRENT) -> None:
    """Remove a server's record, if there is one."""
    (state_dir / role.value).unlink(missing_ok=True)


def _record(document: Any) -> ServerRecord:
    rest = document["rest_address"]
    return ServerRecord(
        pid=int(document["pid"]),
        started=int(document["started"]),
        boot=str(document.get("boot", "")),
        grpc_address=str(document["grpc_address"]),
        rest_address=None if rest is None else str(rest),
        flags=tuple(document["flags"]),
        settings=tuple(document.get("settings", ())),
        log=Path(document["log"]),
        log_start=int(document["log_start"]),
    )
