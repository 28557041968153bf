"""What tests with real servers share: ports that nobody else takes, and waiting with a deadline."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable
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


def until(condition: Callable[[], Found], seconds: float = 30.0) -> Found:
    """Return the first true value of a condition; it is an error if none comes in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"{condition} did not come about in {seconds} s"
        time.sleep(0.02)
    return value
