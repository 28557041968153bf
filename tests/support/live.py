"""What tests with real servers share: ports that nobody else takes, who is there, and waiting with a deadline."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

# Below the range that the kernel hands to clients and to port 0, so that nobody takes a port between its choice and
# the start of the server it was chosen for; each process begins elsewhere, so that workers do not meet.
_LOWEST, _COUNT = 12_000, 20_000
_numbers = itertools.count(os.getpid() * 211)


def free_port() -> int:
    """Return a TCP port that nobody listens on, another one each time."""
    for number in itertools.islice(_numbers, _COUNT):
        port = _LOWEST + number % _COUNT
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError("there is no free port")


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


def until(condition: Callable[[], Found], seconds: float = 100.0) -> Found:
    """Return the first true value of a condition; it is an error if none comes in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{condition} did not come about in {seconds} s"
        time.sleep(0.02)
    return value
