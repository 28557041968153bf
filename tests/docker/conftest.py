# SPDX-License-Identifier: Apache-2.0
"""A real Docker Engine, the image of the embedded server, and deployments in containers that are gone afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support import rollout_scenarios
from support.docker_engine import OwnEngine, engine_of_its_own, missing
from support.live import free_ports
from support.zoo_deployments import Zoo, serving

ROOT = Path(__file__).parents[2]
REQUIRED = "TFS_DEPLOY_REQUIRE_DOCKER"
TAG = f"tfs-deploy/server:test-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]}"
LOCK = Path(tempfile.gettempdir()) / f"{TAG.replace('/', '-').replace(':', '-')}.lock"


def unusable() -> str:
    """Say why there is no engine to test with, nothing if there is one."""
    if shutil.which("docker") is None:
        return "the docker command is not installed"
    done = subprocess.run(["docker", "info", "--format", "{{.OSType}}"], capture_output=True, text=True, timeout=300)
    if done.returncode != 0 or not done.stdout.strip():
        return (done.stderr.strip().splitlines() or ["docker info failed"])[-1]
    return "" if done.stdout.strip() == "linux" else f"the engine runs {done.stdout.strip()} containers"


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker Engine that answers; without one tests are skipped, or fail where one is required."""
    reason = unusable()
    if reason and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and there is no Docker Engine: {reason}")
    if reason:
        pytest.skip(f"no Docker Engine: {reason}")


@pytest.fixture
def own_engine(engine: None) -> Iterator[OwnEngine]:
    """An engine that the test may kill."""
    if lacking := missing():
        pytest.skip(f"no second engine: {lacking}")
    with engine_of_its_own() as own:
        yield own


@pytest.fixture(scope="session")
def image(engine: None) -> Iterator[str]:
    """The image of the embedded server, made from this environment unless it is there; one for each checkout."""
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another worker makes it, or has made it
            fcntl.flock(lock, fcntl.LOCK_SH)
        done = subprocess.run([sys.executable, ROOT / "docker/build", TAG], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield done.stdout.strip()
        with contextlib.suppress(BlockingIOError):  # another worker still uses it and will remove it
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            LOCK.unlink(missing_ok=True)
            if os.environ.get("CI"):  # the next run is in another checkout
                subprocess.run(["docker", "rmi", "--force", TAG], capture_output=True, timeout=300)


def docker(*words: str) -> str:
    """Run the docker command."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Shop:
    """A deployment in containers, in a folder of its own; ``cli`` runs a command on its file."""

    docker = staticmethod(docker)

    def __init__(self, folder: Path, models: Path, image: str) -> None:
        self.folder = folder
        self.path = folder / "shop.yaml"
        self.state = folder / ".tfs-deploy/shop"
        shutil.copytree(models / "saved_model_half_plus_two_2_versions", folder / "hp")
        self.port, self.rest_port, self.port2, self.rest_port2 = free_ports(4)
        self.container: dict[str, Any] = {"image": image}
        self.server: dict[str, Any] = {
            "target": "docker",
            "grpc_port": self.port,
            "rest_port": self.rest_port,
            "docker": self.container,
        }
        self.model: dict[str, Any] = {
            "name": "hp",
            "base_path": "hp",
            "versions": {"specific": [123]},
            "labels": {"stable": 123},
            "traffic": {"stable": 100},
        }
        self.document: dict[str, Any] = {"name": "shop", "server": self.server, "models": [self.model]}
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.write()

    def write(self) -> None:
        self.path.write_text(yaml.safe_dump(self.document, sort_keys=False))

    def line(self, command: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "tfs_deploy", command, str(self.path), *arguments]

    def cli(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = self.line(command, *arguments)
        return subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=self.folder, env=self.environment)

    def json(self, command: str, *arguments: str) -> dict[str, Any]:
        done = self.cli(command, "--json", *arguments)
        assert done.stdout, done.stderr
        return json.loads(done.stdout) | {"exit_code": done.returncode}

    def containers(self) -> list[str]:
        """Name the containers of this deployment, running or not."""
        label = f"label=tfs-deploy.state-dir={self.state}"
        return sorted(docker("ps", "--all", "--filter", label, "--format", "{{.Names}}").split())

    def inspect(self) -> dict[str, Any]:
        """Return what the engine says of the container in use."""
        (name,) = self.containers()
        found: dict[str, Any] = json.loads(docker("inspect", name))[0]
        return found


@pytest.fixture(scope="module")
def shared_shop(image: str, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A deployment for all tests of a file; its containers are gone after them."""
    shop = Shop(tmp_path_factory.mktemp("shared"), models, image)
    yield shop
    for name in shop.containers():
        docker("rm", "--force", name)


@pytest.fixture
def make_shop(image: str, models: Path, tmp_path: Path) -> Iterator[Callable[[], Shop]]:
    """Make a deployment; its containers are gone after the test, and no others are touched."""
    made: list[Shop] = []

    def make() -> Shop:
        folder = tmp_path / f"shop{len(made)}"
        folder.mkdir()
        made.append(Shop(folder, models, image))
        return made[-1]

    yield make
    for shop in made:
        for name in shop.containers():
            docker("rm", "--force", name)


@pytest.fixture
def shop(make_shop: Callable[[], Shop]) -> Shop:
    """A deployment in a container."""
    return make_shop()


@contextlib.contextmanager
def zoo_in_container(folder: Path, source: Path, versions: dict[int, Any], image: str, **docker: Any) -> Iterator[Zoo]:
    """A running deployment of a zoo's versions in a container, of which nothing is left."""
    with serving(Zoo.make(folder, source, versions, free_ports(2), {"image": image, **docker})) as zoo:
        yield zoo


@pytest.fixture
def zoo(image: str, models: Path, tmp_path: Path) -> Iterator[Zoo]:
    """A deployment in a container that serves version 1 of the zoo as stable."""
    with zoo_in_container(tmp_path, models / "zoo", {1: 1, 2: 2}, image) as zoo:
        yield zoo


@pytest.fixture
def zoo_that_stays_dead(image: str, models: Path, tmp_path: Path) -> Iterator[Zoo]:
    """The same, and the engine does not start a server again that has ended."""
    with zoo_in_container(tmp_path, models / "zoo", {1: 1, 2: 2}, image, restart="never") as zoo:
        yield zoo


@pytest.fixture(scope="session")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model and bad candidates for its next version, by name."""
    return rollout_scenarios.make_candidates(tmp_path_factory.mktemp("candidates"))


@pytest.fixture
def bakery(image: str, candidates: Path, tmp_path: Path) -> Iterator[Zoo]:
    """A deployment in a container of the good model, version 1."""
    with zoo_in_container(tmp_path, candidates, {1: "good"}, image) as zoo:
        yield zoo
