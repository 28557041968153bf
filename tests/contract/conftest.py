"""One embedded server with the public test models, and every client on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients import CLIENTS
from live import free_port
from tfs_deploy.client import Client, RestClient
from tfs_deploy.errors import TfsDeployError


@dataclass(frozen=True)
class Served:
    """Where the server listens, and its configuration in text format."""

    grpc: str
    rest: str
    config: str

    def address(self, transport: str) -> str:
        return self.rest if "rest" in transport else self.grpc


@pytest.fixture(scope="session")
def served(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("contract")
    config = (models / "models.config").read_text().replace("/models/", f"{models}/")
    (folder / "models.config").write_text(config)
    served = Served(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", config)
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


@pytest.fixture
def over_rest(request: pytest.FixtureRequest) -> bool:
    """Whether the test's client speaks REST."""
    return "rest" in request.node.callspec.params["client"]


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, served: Served) -> Iterator[Any]:
    with CLIENTS[request.param](served.address(request.param), timeout=30) as client:
        yield client
