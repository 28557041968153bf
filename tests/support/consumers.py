# SPDX-License-Identifier: Apache-2.0
"""Consumers that follow the traffic file and send requests all the time, and a watch for what must never be."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable

import numpy as np

from support.live import until
from support.zoo_deployments import ANSWERS, X, Zoo
from tfs_deploy.client import AsyncClient, AsyncRouter, Client, Router, read_traffic
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, StatusError
from tfs_deploy.rollout import RequestStats
from tfs_deploy.state.request_tallies import requests_dir

#: seconds between two requests of a thread; none in the long form, where the load takes every processor there is
PAUSE = 0.0 if os.environ.get("TFS_DEPLOY_FULL") else 0.004


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
        pause: float = PAUSE,
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
        until(lambda: sum(self.answers.values()) > 20 and len(list(signs.glob("*.jsonl"))) == len(self._threads))
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


class Watch:
    """Looks at the server all the time and takes down what must never be."""

    def __init__(self, zoo) -> None:
        self.complaints: list[str] = []
        self.looks = 0
        self._zoo = zoo
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        with Client(self._zoo.address) as client:
            while not self._stop.wait(0.02):
                self._look(client)
                self.looks += 1

    def _look(self, client: Client) -> None:
        available = [status.version for status in client.status("zoo") if status.available]
        if len(available) > 2:
            self.complaints.append(f"versions {available} are loaded at once")
        with contextlib.suppress(NotFoundError, InvalidArgumentError):
            client.metadata("zoo", label="canary")
        try:
            client.metadata("zoo", label="stable")
        except (NotFoundError, InvalidArgumentError) as error:
            self.complaints.append(f"stable does not answer: {error.message}")
        split = read_traffic(self._zoo.traffic_path).models["zoo"]  # raises unless the weights sum to 100
        if not set(split) <= {"stable", "canary"}:
            self.complaints.append(f"traffic goes to {split}")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
