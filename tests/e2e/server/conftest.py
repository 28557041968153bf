# SPDX-License-Identifier: Apache-2.0
"""One embedded server with the public test models, and eyes on its process."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.forked_command import ForkedProcess, start_server
from support.live import free_ports, is_open, until

RECORDED = Path(__file__).parents[2] / "conformance" / "recorded"


@dataclass
class Server:
    """A server in a process of its own."""

    process: ForkedProcess
    grpc_port: int
    rest_port: int
    log: Path

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    def post(self, model: str, document: dict[str, Any], timeout: float = 300.0) -> dict[str, Any]:
        """Predict over REST; raises what urllib raises."""
        request = urllib.request.Request(
            f"{self.rest_url}/v1/models/{model}:predict", json.dumps(document).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return json.load(reply)

    def assert_well(self) -> None:
        """The process lives and answers what it always answers."""
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        assert self.post("half_plus_two", {"instances": [[1.0], [2.0]]}) == {"predictions": [[2.5], [3.0]]}

    def status_line(self, key: str) -> float:
        """A line of /proc/PID/status in MB, or as it is (Threads)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) / (1024 if line.endswith("kB") else 1)
        raise KeyError(key)

    def processor_seconds(self) -> float:
        """Seconds of processor time that the process has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def open_files(self) -> int:
        """How many descriptors the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@contextmanager
def serving(folder: Path, *flags: str, wait: bool = True) -> Iterator[Server]:
    """Run a server with these flags."""
    grpc_port, rest_port = free_ports(2)
    ports = [f"--port={grpc_port}", f"--rest_api_port={rest_port}"]
    log = folder / f"server-{grpc_port}.log"
    with log.open("wb") as output:
        process = start_server([*ports, "--exit_with_parent", *flags], output)
    try:
        if wait:
            until(lambda: process.poll() is not None or (is_open(grpc_port) and is_open(rest_port)))
            assert process.poll() is None, log.read_text()
        yield Server(process, grpc_port, rest_port, log)
    finally:
        process.terminate()
        process.wait(100)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    with ExitStack() as stack:
        yield lambda *flags, **options: stack.enter_context(serving(tmp_path, *flags, **options))


def public_config(models: Path) -> str:
    """A config with the models that the recorded cases name."""
    names = {"half_plus_two": "saved_model_half_plus_two_2_versions", "zoo": "zoo"}
    entries = (
        f'config {{ name: "{name}" base_path: "{models / folder}" model_platform: "tensorflow" '
        "model_version_policy { all {} } }"
        for name, folder in names.items()
    )
    return f"model_config_list {{ {' '.join(entries)} }}"


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the models of the recorded cases."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "models.config"
    config.write_text(public_config(models))
    with serving(
        folder,
        f"--model_config_file={config}",
        f"--monitoring_config_file={models / 'monitoring.config'}",
        "--rest_api_timeout_in_ms=300000",
        "--enable_grpc_healthcheck_service=true",
    ) as found:
        yield found
