# SPDX-License-Identifier: Apache-2.0
"""Processes of this machine: recognised by number and start time, since the kernel gives a number out again (Linux)."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def start_time(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot, proc(5) field 22), None if it does not run.

    A zombie does not run. 0 where the system has no /proc but the process exists.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _exists(pid)
    # The name, in parentheses, may itself hold spaces and parentheses; field 3 follows the last one.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def is_running(pid: int, started: int) -> bool:
    """Tell whether the process that had the number ``pid`` and this start time still runs."""
    return start_time(pid) == started


def has_ended(pid: int, started: int) -> bool:
    """Tell whether that process surely ended: one that this user may not see (``hidepid``) has not."""
    found = start_time(pid)
    if found is None and not Path(f"/proc/{pid}").exists():
        return _exists(pid) is None
    return found != started


def pid_namespace() -> str:
    """Return what tells the process numbers of one container from another's, empty where that is unknown."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def resident_bytes(pid: int) -> int | None:
    """Return how much memory a process holds, None where that is unknown."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    if sys.platform == "win32":
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _exists(pid: int) -> int | None:
    if sys.platform == "win32":  # where the signal 0 is Ctrl-C
        return 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return 0
    return 0
