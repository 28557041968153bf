"""A deployment of the model zoo on the embedded server, and consumers that send requests all the time."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import io
import itertools
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from live import free_ports, until
from tfs_deploy import protos
from tfs_deploy.cli.main import run
from tfs_deploy.client import AsyncClient, AsyncRouter, Client, Router, write_traffic
from tfs_deploy.client.recorder import requests_dir
from tfs_deploy.config import model_server_config, write_config
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, StatusError, UnknownError
from tfs_deploy.launch.lifecycle import down, up
from tfs_deploy.launch.record import running_server
from tfs_deploy.rollout import RequestStats
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.spec import load_deployment

FILE = """
name: zoo
server: {{target: embedded, grpc_port: {grpc}, rest_port: {rest}, flags: {{grpc_max_threads: 32}}}}
models:
  - name: zoo
    base_path: models/zoo
    versions: {{specific: [1]}}
    labels: {{stable: 1}}
    traffic: {{stable: 100}}
monitoring: {{prometheus: true}}
"""
X = np.array([1.0, 2.0, -3.0], np.float32)
#: version 1 of the zoo computes x / 2 + 2, version 2 computes x / 2 + 3
ANSWERS = {1: X / 2 + 2, 2: X / 2 + 3}


class Zoo:
    """The deployment: its file, its versions on disk, its server."""

    def __init__(self, folder: Path, source: Path, versions: dict[int, Any], grpc: int, rest: int) -> None:
        self.source = source
        self.answers = ANSWERS
        self.ports = f"{grpc}/{rest}"
        self.base = folder / "models" / "zoo"
        for version, like in versions.items():
            self.add(version, like=like, answers=ANSWERS[version])
        self.file = folder / "zoo.yaml"
        self.file.write_text(FILE.format(grpc=grpc, rest=rest))
        self.deployment = load_deployment(self.file)
        self.state_dir = self.deployment.state_dir
        self.traffic_path = self.state_dir / "traffic.json"
        self.address = f"127.0.0.1:{grpc}"

    def add(self, version: int, *, like: int | str, answers: np.ndarray | None = None) -> Path:
        """Put a version on disk: a copy of one of the zoo's, with recorded answers."""
        folder = self.base / str(version)
        shutil.copytree(self.source / str(like), folder)
        if answers is not None:
            write_goldens(folder, [Golden("serving_default", {"x": X}, {"y": answers.astype(np.float32)})])
        return folder

    def served(self) -> tuple[dict[str, int], list[int]]:
        """Return what labels answer with, and the versions that are AVAILABLE."""
        with Client(self.address) as client:
            labels = {}
            for label in ("stable", "canary"):
                with contextlib.suppress(InvalidArgumentError, NotFoundError):
                    labels[label] = client.metadata("zoo", label=label).version
            return labels, sorted(status.version for status in client.status("zoo") if status.available)


class Consumers:
    """Threads that follow the traffic file and send one request after the other; every failure is kept.

    ``pause``: seconds between two requests of a thread.
    """

    def __init__(
        self,
        zoo: Zoo,
        count: int = 4,
        draw: Callable[[int], np.ndarray] | None = None,
        *,
        model: str = "zoo",
        pause: float = 0.0,
    ) -> None:
        self._model = model
        self._pause = pause
        self.stats = RequestStats()
        self.failures: list[Exception] = []
        self.failed: collections.Counter[str] = collections.Counter()
        self._draw = draw
        self.answers: collections.Counter[int] = collections.Counter()
        self._zoo = zoo
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(count)]

    def _work(self, number: int) -> None:
        with Client(self._zoo.address) as client:
            router = Router(client, self._model, self._zoo.traffic_path)
            count = number
            while not (self._stop.wait(self._pause) if self._pause else self._stop.is_set()):
                count += 7
                label = router.choose(count)
                started = time.perf_counter()
                error = False
                try:
                    reply = router.predict({"x": X if self._draw is None else self._draw(count)}, label=label)
                    self.answers[reply.version] += 1
                    if self._draw is None:
                        np.testing.assert_allclose(reply["y"], ANSWERS[2 - reply.version % 2])
                except (StatusError, AssertionError, KeyError) as failure:
                    error = True
                    self.failures.append(failure)
                    self.failed[label] += 1
                self.stats.record(label, time.perf_counter() - started, error=error)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        signs = requests_dir(self._zoo.state_dir, self._model)
        until(lambda: sum(self.answers.values()) > 20 and len(list(signs.glob("*"))) == len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


class AwaitedConsumers:
    """``Consumers`` with so many asynchronous calls in flight at any time."""

    def __init__(self, zoo: Zoo, calls: int = 64) -> None:
        self.failures: list[Exception] = []
        self.answers: collections.Counter[int] = collections.Counter()
        self._zoo = zoo
        self._calls = calls
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()))

    async def _main(self) -> None:
        async with AsyncClient(self._zoo.address) as client:
            router = AsyncRouter(client, "zoo", self._zoo.traffic_path)
            await asyncio.gather(*(self._work(router, number) for number in range(self._calls)))
            router.close()

    async def _work(self, router: AsyncRouter, number: int) -> None:
        for key in itertools.count(number, self._calls):
            if self._stop.is_set():
                return
            try:
                reply = await router.predict({"x": X}, key=key)
                np.testing.assert_allclose(reply["y"], ANSWERS[reply.version])
                self.answers[reply.version] += 1
            except (StatusError, AssertionError) as failure:
                self.failures.append(failure)

    def __enter__(self):
        self._thread.start()
        until(lambda: sum(self.answers.values()) > self._calls)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Pool:
    """One server for one test after the other: starting one takes seconds, giving it another config does not."""

    def __init__(self) -> None:
        self.ports = free_ports(2)
        self.record: Path | None = None

    def serve(self, zoo: Zoo) -> None:
        """Let the server of the test before serve ``zoo`` from now on, or start one."""
        if self.record is None or running_server(self.record) is None:
            up(zoo.deployment)
        else:
            zoo.state_dir.mkdir(parents=True)
            shutil.copy(self.record / "server.json", zoo.state_dir)
            shutil.copy(self.record / "endpoint.json", zoo.state_dir)
            self._give(zoo)
        self.record = zoo.state_dir

    def _give(self, zoo: Zoo) -> None:
        write_config(zoo.deployment, zoo.deployment.config_dir)
        write_traffic(zoo.traffic_path, "zoo", {"stable": 100})
        empty = protos.ModelServerConfig()
        empty.model_config_list.SetInParent()
        with Client(zoo.address) as client:
            client.reload(empty)
            until(lambda: not any(status.available for status in client.status("zoo")))
            with contextlib.suppress(UnknownError):  # it loads all the same
                client.reload(model_server_config(zoo.deployment))
            client.wait_ready("zoo", version=1)

    def close(self) -> None:
        """Stop the server."""
        server = None if self.record is None else running_server(self.record)
        if server is not None:
            server.stop()


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def zoo(tmp_path: Path, models: Path, pool: Pool) -> Iterator[Zoo]:
    """A running deployment that serves version 1 as stable."""
    with serving(Zoo(tmp_path, models / "zoo", {1: 1, 2: 2}, *pool.ports), pool) as zoo:
        yield zoo


@pytest.fixture
def idle_zoo(tmp_path: Path, models: Path) -> Zoo:
    """The same deployment on ports of its own, without a server."""
    return Zoo(tmp_path, models / "zoo", {1: 1, 2: 2}, *free_ports(2))


@contextlib.contextmanager
def serving(zoo: Zoo, pool: Pool) -> Iterator[Zoo]:
    pool.serve(zoo)
    yield zoo
    if running_server(zoo.state_dir) is None:
        down(zoo.deployment)  # whatever the test left


@pytest.fixture(scope="session")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model and bad candidates for its next version, by name (see ``make_candidates``)."""
    folder = tmp_path_factory.mktemp("candidates")
    script = Path(__file__).with_name("make_candidates.py")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture
def shop(tmp_path: Path, candidates: Path, pool: Pool) -> Iterator[Zoo]:
    """A running deployment of the good model, version 1."""
    with serving(Zoo(tmp_path, candidates, {1: "good"}, *pool.ports), pool) as shop:
        yield shop


@pytest.fixture
def awaited_consumers() -> type[AwaitedConsumers]:
    return AwaitedConsumers


@pytest.fixture
def consumers() -> type[Consumers]:
    return Consumers


@pytest.fixture
def cli() -> Callable[..., SimpleNamespace]:
    """Run a command in this process: ``returncode``, ``stdout`` and ``stderr`` as of one of its own."""

    def run_here(*arguments: object) -> SimpleNamespace:
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = run([str(argument) for argument in arguments])
        return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=errors.getvalue())

    return run_here
