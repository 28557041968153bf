# SPDX-License-Identifier: Apache-2.0
"""Load for the server's benchmarks, and what /proc says of a process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from support.live import free_ports, until

HERE = Path(__file__).parent
PREDICT = "/tensorflow.serving.PredictionService/Predict"
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Table:
    """Rows of what was measured against its limit."""

    missed: bool = False
    rows: list[str] = field(default_factory=list)

    def head(self) -> None:
        print(f"{'what':<66} {'measured':>12}      {'limit':>9}  holds", flush=True)

    def row(self, what: str, value: float, unit: str = "", limit: float | None = None, *, least: bool = False) -> None:
        """Print a row; ``least`` says that the limit is a lower one."""
        if limit is None:
            print(f"{what:<66} {value:>12.2f} {unit:<4}", flush=True)
            return
        ok = value >= limit if least else value <= limit
        self.missed |= not ok
        print(
            f"{what:<66} {value:>12.2f} {unit:<4} {'>=' if least else '<='} {limit:<8g} {'yes' if ok else 'NO'}",
            flush=True,
        )


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has taken so far, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory_mb(pid: int, key: str = "VmRSS") -> float:
    """A line of /proc/PID/status: VmRSS is resident now, VmHWM was resident at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


def reset_peak(pid: int) -> None:
    """Let VmHWM start again from what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


@dataclass
class Process:
    """A server under test."""

    pid: int
    grpc_address: str
    rest_url: str


@contextmanager
def embedded(*flags: str) -> Iterator[Process]:
    """Run the embedded server until it is stopped."""
    port, rest_port = free_ports(2)
    command = [sys.executable, "-m", "tfs_deploy.server", f"--port={port}", f"--rest_api_port={rest_port}"]
    with running([*command, "--exit_with_parent", "--log_level=error", *flags], port, rest_port) as process:
        yield process


@contextmanager
def baseline(kind: str) -> Iterator[Process]:
    """Run one of server_baselines.py."""
    (port,) = free_ports(1)
    with running([sys.executable, str(HERE / "server_baselines.py"), kind, str(port)], port, port) as process:
        yield process


@contextmanager
def running(command: list[str], port: int, rest_port: int) -> Iterator[Process]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _open(port), seconds=60)
        if process.poll() is not None:
            raise SystemExit(f"{command} ended with {process.returncode}")
        yield Process(process.pid, f"127.0.0.1:{port}", f"http://127.0.0.1:{rest_port}")
    finally:
        process.terminate()
        process.wait(30)


def _open(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _drive(address: str, body: bytes, calls: int, concurrent: int) -> None:
    left = iter(range(calls))
    async with grpc.aio.insecure_channel(address, UNLIMITED) as channel:
        call = channel.unary_unary(PREDICT)

        async def work() -> None:
            for _ in left:
                await call(body, timeout=60)

        await asyncio.gather(*(work() for _ in range(concurrent)))


def cpu_per_call(process: Process, body: bytes, calls: int, concurrent: int = 32) -> float:
    """Microseconds of the server's processor time per Predict."""
    before = cpu_seconds(process.pid)
    asyncio.run(_drive(process.grpc_address, body, calls, concurrent))
    return (cpu_seconds(process.pid) - before) / calls * 1e6


def percentile(values: list[float], part: float) -> float:
    """The value that ``part`` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]
