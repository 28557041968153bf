# SPDX-License-Identifier: Apache-2.0
"""Replays what the real server answered; cases are files under ``recorded``."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import forked_command
from support.live import free_ports, is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDED = Path(__file__).parent / "recorded"
#: where the recorded server had its models
MODELS_THERE = "/models/"


def load_case(folder: str, name: str) -> dict[str, Any]:
    return json.loads((RECORDED / folder / f"{name}.json").read_text(encoding="utf-8"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with the argument ``rest_case`` runs once for each file of ``recorded/rest``."""
    for argument in metafunc.fixturenames:
        folder = argument.removesuffix("_case")
        if argument.endswith("_case") and (RECORDED / folder).is_dir():
            names = sorted(path.stem for path in (RECORDED / folder).glob("*.json"))
            metafunc.parametrize(argument, names)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--tfs-address",
        metavar="HOST:PORT[/RESTPORT]",
        help="replay the recorded requests on this server, which serves tests/data/models/models.config; cases of "
        "servers that a test starts with its own flags are skipped, those over REST too without a REST port",
    )


@dataclass(frozen=True)
class Remote:
    """A server that runs already."""

    host: str
    grpc_port: int
    rest_port: int | None
    is_embedded = False

    @classmethod
    def parse(cls, text: str) -> Remote:
        found = re.fullmatch(r"(.+):(\d+)(?:/(\d+))?", text)
        if found is None:
            raise pytest.UsageError(f"--tfs-address takes HOST:PORT or HOST:PORT/RESTPORT, not {text!r}")
        return cls(found[1], int(found[2]), int(found[3]) if found[3] else None)

    @property
    def grpc_address(self) -> str:
        return f"{self.host}:{self.grpc_port}"


def remote(config: pytest.Config) -> Remote | None:
    """The server of --tfs-address."""
    text = config.getoption("--tfs-address", default=None)
    return None if text is None else Remote.parse(text)


@pytest.fixture(autouse=True)
def _own_servers_only_without_address(request: pytest.FixtureRequest) -> None:
    if remote(request.config) is not None and "server" not in request.fixturenames:
        pytest.skip("starts servers of its own: not with --tfs-address")


class Server:
    """An embedded server in a process of its own."""

    host = "127.0.0.1"
    #: the known exceptions are those of this server
    is_embedded = True

    def __init__(self, folder: Path, flags: list[str], models: Path) -> None:
        self.models = models
        self.grpc_port, self.rest_port = free_ports(2)
        self.log = folder / "server.log"
        own = [flag for flag in flags if not flag.startswith(("--port=", "--rest_api_port="))]
        arguments = [f"--port={self.grpc_port}", f"--rest_api_port={self.rest_port}", "--exit_with_parent", *own]
        with self.log.open("wb") as log:
            self.process = forked_command.start_server(arguments, log)

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def wait(self, seconds: float = 100.0) -> Server:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            if is_open(self.grpc_port) and is_open(self.rest_port):
                return self
            time.sleep(0.02)
        self.stop()
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def wait_for_versions(self, model: str, versions: set[str], seconds: float = 100.0) -> None:
        deadline = time.monotonic() + seconds
        there: set[str] = set()
        while there != versions and time.monotonic() < deadline:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}/v1/models/{model}") as reply:
                states = json.load(reply)["model_version_status"]
            there = {state["version"] for state in states if state["state"] == "AVAILABLE"}
            time.sleep(0.02)
        assert there == versions

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(100)


def own_paths(text: str, models: Path) -> str:
    """Put this checkout's models in the place of the recorded server's."""
    return text.replace(MODELS_THERE, f"{models}/")


def starter(folders: Callable[[], Path], models: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*flags: str, wait: bool = True) -> Server:
        server = Server(folders(), list(flags), models)
        servers.append(server)
        return server.wait() if wait else server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def start_server(models: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers with these flags, and stop them after the test."""
    yield from starter(lambda: tmp_path, models)


@pytest.fixture(scope="module")
def start_module_server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers that live as long as the module's tests."""
    yield from starter(lambda: tmp_path_factory.mktemp("server"), models)


@pytest.fixture(scope="module")
def start_recorded(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start servers with the models and flags that most cases were recorded with."""
    servers: list[Server] = []

    def start(*flags: str, batching_parameters: str | None = None) -> Server:
        folder = tmp_path_factory.mktemp("server")
        config = folder / "models.config"
        config.write_text(own_paths((models / "models.config").read_text(), models))
        more = list(flags)
        if batching_parameters is not None:
            (folder / "batching.config").write_text(batching_parameters)
            more.append(f"--batching_parameters_file={folder / 'batching.config'}")
        server = Server(
            folder,
            [
                f"--model_config_file={config}",
                f"--monitoring_config_file={models / 'monitoring.config'}",
                "--allow_version_labels_for_unavailable_models=true",
                *more,
            ],
            models,
        )
        servers.append(server)
        server.wait()
        server.wait_for_versions("half_plus_two", {"123", "124"})
        server.wait_for_versions("zoo", {"1", "2"})
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Server | Remote:
    """The server that answers the recorded requests: a fresh one, or that of --tfs-address."""
    return remote(request.config) or request.getfixturevalue("start_recorded")()


@pytest.fixture(scope="session")
def tls_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A private key and a self-signed certificate for localhost, as PEM text."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return key.read_text(), certificate.read_text()
