# SPDX-License-Identifier: Apache-2.0
"""What a process or a container uses of its machine: processor, memory, threads."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault, PlatformError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WINDOW: Final = 0.5


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu`` in CPUs (1.0: one of them is busy), ``memory`` and ``limit`` in bytes, received and sent bytes."""

    cpu: float
    memory: int
    limit: int | None
    threads: int
    received: int | None = None
    sent: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"cpu": round(self.cpu, 3)}


def container_usage(stats: Mapping[str, Any]) -> Usage:
    """Read what the Docker Engine answers to "container stats" (Engine API 1.41).

    Page cache counts as used only where the kernel cannot take it back, as in ``docker stats``.
    """
    now, before = stats["cpu_stats"], stats["precpu_stats"]
    spent = now["cpu_usage"]["total_usage"] - before["cpu_usage"].get("total_usage", 0)
    passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or [0])
    memory = stats["memory_stats"]
    detail = memory.get("stats", {})
    cache = detail.get("inactive_file", detail.get("total_inactive_file", 0))
    networks = (stats.get("networks") or {}).values()
    return Usage(
        cpu=cpus * spent / passed if passed > 0 else 0.0,
        memory=max(int(memory.get("usage", 0)) - int(cache), 0),
        limit=memory.get("limit"),
        threads=int(stats.get("pids_stats", {}).get("current", 0)),
        received=sum(network["rx_bytes"] for network in networks),
        sent=sum(network["tx_bytes"] for network in networks),
    )


def process_usage(pid: int, *, window: float = _WINDOW) -> Usage:
    """Return what a process uses within ``window`` seconds (Linux); ``EnvironmentFault`` if it cannot be read."""
    if sys.platform != "linux":
        raise PlatformError("what a process uses")
    try:
        before, began = _ticks(pid), time.monotonic()
        time.sleep(window)
        spent = (_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
        fields = dict(line.split(":", 1) for line in _text(pid, "status").splitlines() if ":" in line)
    except OSError as error:
        raise EnvironmentFault(f"process {pid} cannot be read: {error.strerror}") from error
    return Usage(
        spent / (time.monotonic() - began), int(fields["VmRSS"].split()[0]) * 1024, None, int(fields["Threads"])
    )


def _ticks(pid: int) -> int:
    fields = _text(pid, "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _text(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
