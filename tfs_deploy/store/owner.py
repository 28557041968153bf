# SPDX-License-Identifier: Apache-2.0
"""The owner of a staging directory, written in its name and so known from the moment that it exists."""

from __future__ import annotations

import functools
import os
import re
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.processes import is_running, start_time

PREFIX: Final = ".tfs-deploy-staging"
#: an owner on another machine cannot be looked up; its directory counts as abandoned after this many seconds
FOREIGN_GRACE_S: Final = 24 * 3600.0
_NAME: Final = re.compile(
    re.escape(PREFIX) + r"\.(?P<host>[\w-]+)\.(?P<boot>\w+)\.(?P<space>\w+)\.(?P<pid>\d+)\.(?P<start>\d+)\.\w+"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, distinct from a later one with the same pid and from those of other containers and hosts."""

    host: str
    boot: str
    space: str
    pid: int
    start: int

    def staging_name(self) -> str:
        """Return a fresh directory name that carries the owner and that no server takes for a version."""
        return f"{PREFIX}.{self.host}.{self.boot}.{self.space}.{self.pid}.{self.start}.{secrets.token_hex(4)}"


def current() -> Owner:
    """Return this process."""
    pid = os.getpid()
    return Owner(_host(), _boot(), _pid_namespace(), pid, start_time(pid) or 0)


def parse(name: str) -> Owner | None:
    """Return the owner in a staging directory's name, ``None`` if it is not such a name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return Owner(match["host"], match["boot"], match["space"], int(match["pid"]), int(match["start"]))


def is_dead(owner: Owner, me: Owner, newest_change: float) -> bool:
    """Tell whether the owner of a staging directory is gone.

    ``newest_change``: when something in it changed last (seconds since the epoch), which decides for an owner that
    cannot be looked up: one on another host or in another pid namespace.
    """
    if owner.host == me.host and owner.boot != me.boot:
        return True
    if (owner.host, owner.space) != (me.host, me.space):
        return time.time() - newest_change > FOREIGN_GRACE_S
    return not is_running(owner.pid, owner.start)


@functools.cache
def _host() -> str:
    return re.sub(r"[^\w-]", "_", socket.gethostname(), flags=re.ASCII) or "localhost"


@functools.cache
def _boot() -> str:
    return boot_id().replace("-", "")[:12] or "0"


def _pid_namespace() -> str:
    try:
        return re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink())) or "0"
    except OSError:
        return "0"
