"""``server.json`` in the state directory: which process is the deployment's server, and how it was started.

While a server is replaced there are two more such files: of the one that is to follow, and of the one that is to go.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from tfs_deploy.atomic import write_atomic
from tfs_deploy.errors import EnvironmentFault, file_hint
from tfs_deploy.host.machine import boot_id
from tfs_deploy.launch.embedded.process import Process
from tfs_deploy.launch.embedded.running_server import RunningServer

FILE_NAME: Final = "server.json"
NEXT: Final = "next.json"
OLD: Final = "old.json"
LOG_NAME: Final = "server.log"


def write_record(state_dir: Path, server: RunningServer, *, name: str = FILE_NAME) -> None:
    """Note a server in the file ``name``."""
    document = {
        "pid": server.pid,
        "started": server.process.started,
        "boot": boot_id(),
        "grpc_address": server.grpc_address,
        "rest_address": server.rest_address,
        "flags": list(server.flags),
        "settings": list(server.settings),
        "log": str(server.log_path),
        "log_start": server.log_start,
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    write_atomic(state_dir / name, json.dumps(document, indent=2) + "\n")


def read_record(state_dir: Path, *, name: str = FILE_NAME) -> dict[str, Any] | None:
    """Read a note as it is, None if there is none; ``EnvironmentFault`` if it is damaged."""
    path = state_dir / name
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except ValueError as error:
        hint = "stop the server by hand if it runs, then delete the file"
        raise EnvironmentFault(f"{path} is damaged: {error}", hint=hint) from error
    if not isinstance(document, dict):
        raise EnvironmentFault(f"{path} is damaged: not an object", hint="delete it")
    return document


def remove_record(state_dir: Path, *, name: str = FILE_NAME) -> None:
    """Forget a server."""
    (state_dir / name).unlink(missing_ok=True)


def running_server(state_dir: Path, *, name: str = FILE_NAME) -> RunningServer | None:
    """Return the server that a note is of if its process still runs, and is not another one with the same number."""
    record = read_record(state_dir, name=name)
    if record is None or record.get("boot") != boot_id():
        return None
    try:
        server = RunningServer(
            Process(int(record["pid"]), int(record["started"])),
            record["grpc_address"],
            record["rest_address"],
            Path(record["log"]),
            tuple(record["flags"]),
            int(record["log_start"]),
            tuple(record.get("settings", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        hint = "stop the server by hand if it runs, then delete the file"
        raise EnvironmentFault(f"{state_dir / name} is damaged: {error!r}", hint=hint) from error
    return server if server.alive() else None
