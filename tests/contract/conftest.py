"""One embedded server with the public test models, and every client on it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tfs_deploy.client import Client, RestClient
from tfs_deploy.errors import TfsDeployError

CLIENTS = {"grpc": Client, "rest": RestClient}


@dataclass(frozen=True)
class Served:
    """Where the server listens, and its configuration in text format."""

    grpc: str
    rest: str
    config: str

    def address(self, transport: str) -> str:
        return self.rest if transport == "rest" else self.grpc


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="session")
def served(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("contract")
    config = (models / "models.config").read_text().replace("/models/", f"{models}/")
    (folder / "models.config").write_text(config)
    served = Served(free_address(), free_address(), config)
    flags = [
        f"--port={served.grpc.rpartition(':')[2]}",
        f"--rest_api_port={served.rest.rpartition(':')[2]}",
        f"--model_config_file={folder / 'models.config'}",
        "--allow_version_labels_for_unavailable_models=true",
        "--exit_with_parent",
    ]
    log = folder / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "-m", "tfs_deploy.server", *flags], stdout=sink, stderr=sink)
    try:
        with Client(served.grpc) as client:
            for label in ("stable", "canary"):
                client.wait_ready("half_plus_two", label=label, timeout=90)
                client.wait_ready("zoo", label=label, timeout=90)
        with RestClient(served.rest) as rest:
            rest.wait_ready("counter", timeout=30)
        yield served
    except TfsDeployError as error:
        raise AssertionError(f"{error}\n{log.read_text()}") from error
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, served: Served) -> Iterator[Client | RestClient]:
    with CLIENTS[request.param](served.address(request.param), timeout=30) as client:
        yield client
