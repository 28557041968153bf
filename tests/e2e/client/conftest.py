# SPDX-License-Identifier: Apache-2.0
"""Replicas of a model server as processes that a test may kill, stop and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.live import free_port
from tfs_deploy.client import Client, RestClient

SCRIPT = Path(__file__).with_name("replica.py")


class Replica:
    """One server on ports of its own."""

    def __init__(self, command: Callable[[int, int], list[str]]) -> None:
        ports = free_port(), free_port()
        self.address, self.rest_address = (f"127.0.0.1:{port}" for port in ports)
        self._command = command(*ports)
        self._process: subprocess.Popen[bytes] | None = None

    def at(self, transport: str) -> str:
        """Return where clients of a transport call it."""
        return self.rest_address if "rest" in transport else self.address

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=quiet, stderr=quiet)

    def wait(self) -> None:
        for kind, address in ((Client, self.address), (RestClient, self.rest_address)):
            with kind(address) as client:
                client.wait_ready("half_plus_two", timeout=100)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it in order."""
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(60) == 0

    def freeze(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)
        # threads that run on other cores go on for a moment, and may answer a call
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def replicas(models: Path) -> Iterator[Callable[..., list[Replica]]]:
    """Start that many replicas, ready to answer: with a function, or with a SavedModel (and flags)."""
    started: list[Replica] = []

    def start(count: int, *flags: str, embedded: bool = False, seconds: float = 0.0) -> list[Replica]:
        def small(port: int, rest_port: int) -> list[str]:
            return [sys.executable, str(SCRIPT), str(port), str(rest_port), str(seconds)]

        def whole(port: int, rest_port: int) -> list[str]:
            base = models / "saved_model_half_plus_two_2_versions"
            ports = [f"--port={port}", f"--rest_api_port={rest_port}"]
            own = ["--model_name=half_plus_two", f"--model_base_path={base}", "--exit_with_parent"]
            return [sys.executable, "-m", "tfs_deploy.server", *ports, *own, *flags]

        found = [Replica(whole if embedded else small) for _ in range(count)]
        started.extend(found)
        for replica in found:
            replica.start()
        for replica in found:
            replica.wait()
        return found

    yield start
    for replica in started:
        replica.kill()
