# SPDX-License-Identifier: Apache-2.0
"""This machine as a whole: which boot it runs in, how much memory it can give (Linux)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_MEMINFO: Final = Path("/proc/meminfo")


def boot_id() -> str:
    """Return what tells one boot of this machine from the next, empty where that is unknown."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def available_bytes() -> int | None:
    """Return how much memory this machine can give to new processes, None where that is unknown."""
    try:
        for line in _MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
