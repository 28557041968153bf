# SPDX-License-Identifier: Apache-2.0
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

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.processes import has_ended, pid_namespace
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
    both mean something, ``pid_namespace`` the namespace of the number (pid_namespaces(7)), empty in records of earlier
    releases; ``log_start`` is the size of the log before the start, ``settings`` what the server read then.
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
    pid_namespace: str = ""

    @property
    def of_this_namespace(self) -> bool:
        """Whether process numbers mean the same here as where the server was started."""
        return bool(self.pid_namespace) and self.pid_namespace == pid_namespace()

    def is_copied_to(self, state_dir: Path) -> bool:
        """Whether the directory that the server logs into is there and another one; one that was moved is not there."""
        try:
            return self.log.is_absolute() and not self.log.parent.samefile(state_dir)
        except OSError:
            return False

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
        "pid_namespace": record.pid_namespace,
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
    """Return a server's record, None if there is none; ``EnvironmentFault`` if it is damaged.

    A record that came here with a copy of another state directory is of that one's server: there is none here.
    """
    record = _read(state_dir, role)
    return None if record is None or record.is_copied_to(state_dir) else record


def remove_server(state_dir: Path, role: Role = Role.CURRENT) -> None:
    """Remove a server's record, if there is one."""
    (state_dir / role.value).unlink(missing_ok=True)


def why_lost(state_dir: Path, address: str) -> str:
    """Say why what answers gRPC at ``address`` cannot be the recorded server; empty if it can.

    It can without a record, and where the process cannot be seen: from another machine, boot or container, or where the
    records cannot be read.
    """
    ended = ""
    for role in Role:
        try:
            record = _read(state_dir, role)
        except EnvironmentFault:
            return ""
        if record is None or record.grpc_address != address:
            continue
        if record.is_copied_to(state_dir):
            return f"{state_dir} is a copy of {record.log.parent}, whose server answers on {address}"
        if not record.of_this_boot or not record.of_this_namespace or not has_ended(record.pid, record.started):
            return ""
        ended = f"(process {record.pid}) has ended"
    return ended and f"the server recorded in {state_dir} {ended}; what answers on {address} now is not it"


def _read(state_dir: Path, role: Role) -> ServerRecord | None:
    return read_json(state_dir / role.value, _record, known=VERSION, hint=_HINT)


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
        pid_namespace=str(document.get("pid_namespace", "")),
    )
