# SPDX-License-Identifier: Apache-2.0
"""What tests with real servers share: ports that nobody else takes, who is there, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

# Below the range that the kernel hands to clients and to port 0, so that no client takes a port between its choice and
# the start of the server it was chosen for. All processes of this user take numbers from one file, so that workers, and
# suites that run at the same time, do not meet either.
_LOWEST, _COUNT = 12_000, 20_000
_LAST = Path(tempfile.gettempdir()) / f"tfs-deploy-tests-last-port-{os.getuid()}"


def free_port() -> int:
    """Return a TCP port on which no process listens, another one each time."""
    with _LAST.open("a+") as last:
        fcntl.flock(last, fcntl.LOCK_EX)
        last.seek(0)
        begin = int(last.read() or 0) + 1
        number = next((number for number in range(begin, begin + _COUNT) if _is_free(_LOWEST + number % _COUNT)), None)
        assert number is not None, "there is no free port"
        last.truncate(0)
        last.write(str(number))
    return _LOWEST + number % _COUNT


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Return TCP ports that nobody listens on."""
    return [free_port() for _ in range(count)]


def is_open(port: int) -> bool:
    """Tell whether somebody on this machine listens on a TCP port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of all other processes that mention a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(folder) in command:
                    found.append(command)
    return found


def until(condition: Callable[[], Found], seconds: float = 200.0) -> Found:
    """Return the first true value of a condition; it is an error if none comes in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{condition} did not come about in {seconds} s"
        time.sleep(0.02)
    return value
