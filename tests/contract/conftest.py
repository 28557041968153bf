# SPDX-License-Identifier: Apache-2.0
"""One embedded server with the public test models, and every client on it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.clients import CLIENTS
from support.forked_command import ForkedProcess, start_server
from support.live import free_port, is_open, until
from tfs_deploy.client import Client, RestClient
from tfs_deploy.errors import TfsDeployError

#: seconds in which a server starts and loads its models, whatever else the machine does
START = 150.0


@dataclass(frozen=True)
class Served:
    """Where the server listens, and its configuration in text format."""

    grpc: str
    rest: str
    config: str

    def address(self, transport: str) -> str:
        return self.rest if "rest" in transport else self.grpc


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test, which waits for the server to load its models, more time than that takes."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(2 * START))


@dataclass
class Starting:
    """A server process and what is known of it."""

    process: ForkedProcess
    served: Served
    log: Path
    ready: bool = False

    def wait(self) -> Served:
        """Return where it serves once all models are loaded; a test that waits in vain spoils no other test's wait."""
        if not self.ready:
            try:
                until(lambda: self.process.poll() is not None or is_open(port_of(self.served.rest)), START)
                assert self.process.poll() is None, "the server has ended"
                self._wait_for_models(time.monotonic() + START)
            except (TfsDeployError, AssertionError) as error:
                raise AssertionError(f"{error}\n{self.log.read_text()}") from error
            self.ready = True
        return self.served

    def _wait_for_models(self, end: float) -> None:
        with Client(self.served.grpc) as client:
            for model in ("half_plus_two", "zoo"):
                for label in ("stable", "canary"):
                    client.wait_ready(model, label=label, timeout=end - time.monotonic())
        with RestClient(self.served.rest) as rest:
            rest.wait_ready("counter", timeout=end - time.monotonic())


@pytest.fixture(scope="session")
def starting(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starting]:
    folder = tmp_path_factory.mktemp("contract")
    config = (models / "models.config").read_text().replace("/models/", f"{models}/")
    (folder / "models.config").write_text(config)
    served = Served(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}", config)
    flags = [
        f"--port={port_of(served.grpc)}",
        f"--rest_api_port={port_of(served.rest)}",
        f"--model_config_file={folder / 'models.config'}",
        "--allow_version_labels_for_unavailable_models=true",
        "--exit_with_parent",
    ]
    log = folder / "server.log"
    with log.open("wb") as sink:
        process = start_server(flags, sink)
    try:
        yield Starting(process, served, log)
    finally:
        process.terminate()
        process.wait(100)


@pytest.fixture
def served(starting: Starting) -> Served:
    """Where the server is, all of whose models are loaded."""
    return starting.wait()


@pytest.fixture
def over_rest(request: pytest.FixtureRequest) -> bool:
    """Whether the test's client speaks REST."""
    return "rest" in request.node.callspec.params["client"]


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, served: Served) -> Iterator[Any]:
    with CLIENTS[request.param](served.address(request.param), timeout=300) as client:
        yield client
