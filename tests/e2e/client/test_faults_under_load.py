# SPDX-License-Identifier: Apache-2.0
"""Servers that die, freeze and are full, under load: no call fails that a retry can save, and deadlines hold."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
from concurrent import futures
from typing import Any

import numpy as np
import pytest
from typing_extensions import Self

from support.clients import CLIENTS
from support.consumers import PAUSE
from support.lateness import assert_punctual
from tfs_deploy.client import AsyncClient, AsyncRestClient, Client, RestClient
from tfs_deploy.errors import DeadlineExceededError, ResourceExhaustedError, TfsDeployError

X = {"x": np.array([2.0], np.float32)}


class Load:
    """Threads that predict until told to stop; keeps what failed."""

    def __init__(self, *clients: Any, threads: int = 6) -> None:
        self.done = dict.fromkeys(range(len(clients)), 0)
        self.failed: list[TfsDeployError] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number, client))
            for number, client in enumerate(clients)
            for _ in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int, client: Any) -> None:
        while not (self._over.wait(PAUSE) if PAUSE else self._over.is_set()):
            try:
                reply = client.predict("half_plus_two", X)
            except TfsDeployError as error:  # noqa: PERF203 - each call may fail
                self.failed.append(error)
            else:
                assert reply["y"].tolist() == [3.0]
                self.done[number] += 1


class Tasks:
    """An asynchronous client as a blocking one that several threads may call, with all calls on one event loop."""

    def __init__(self, kind: Any, target: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._client = kind(target)

    def predict(self, *arguments: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(self._client.predict(*arguments), self._loop).result()

    def stats(self) -> Any:
        return self._client.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


FOUR = {
    "grpc": Client,
    "rest": RestClient,
    "async-grpc": functools.partial(Tasks, AsyncClient),
    "async-rest": functools.partial(Tasks, AsyncRestClient),
}


def wreak(pair, seconds, rhythm, chance):
    """Kill one of the replicas with each beat and start it again; it has to be back before the other one is killed."""
    started = time.monotonic()
    order = [*pair]
    chance.shuffle(order)
    victims = itertools.cycle(order)
    kills = late = 0
    while (beat := started + kills * rhythm) < started + seconds:
        late += time.monotonic() > beat + rhythm / 2
        threading.Event().wait(max(0.0, beat - time.monotonic()))
        victim = next(victims)
        victim.kill()
        victim.start()
        victim.wait()
        kills += 1
    return kills, late


#: how the clients are told of two replicas
TARGETS = {
    "several-targets": lambda pair, kind: [replica.at(kind) for replica in pair],
    "grpc-round-robin": lambda pair, kind: "ipv4:" + ",".join(replica.address for replica in pair),
}


@contextlib.contextmanager
def loaded(pair, kinds, threads=2, *, loses=True):
    """Keep clients of two replicas busy; afterwards no call may have failed. ``loses``: each lost some attempts."""
    with contextlib.ExitStack() as stack:
        ways = [(kind, "several-targets") for kind in kinds]
        ways += [(kind, "grpc-round-robin") for kind in kinds if "grpc" in kind]
        clients = [stack.enter_context(FOUR[kind](TARGETS[way](pair, kind))) for kind, way in ways]
        with Load(*clients, threads=threads) as load:
            yield
        assert load.failed == []
        for number, client in enumerate(clients):
            assert load.done[number] > 20, ways[number]
            assert not loses or client.stats().attempts > client.stats().calls, ways[number]


def test_replicas_that_are_killed_fail_no_call(replicas):
    pair = replicas(2)
    with loaded(pair, FOUR, threads=1):
        kills, _ = wreak(pair, 6, 2, random.Random(7))
    assert kills == 3


def test_replicas_that_stop_in_order_one_after_the_other_fail_no_call(replicas):
    """A rolling restart: what a server had taken is answered, what it turned away goes to the other one."""
    pair = replicas(2, seconds=0.01)
    with loaded(pair, FOUR, threads=2, loses=False):
        for replica in pair * 2:
            replica.stop()
            replica.start()
            replica.wait()


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_minute_of_replicas_killed_every_two_seconds_fails_no_call(replicas):
    """The server is the embedded one with a function for a model, so that it is back within the two seconds."""
    pair = replicas(2)
    with loaded(pair, FOUR):
        kills, late = wreak(pair, 60, 2, random.Random(7))
    assert kills == 30
    assert late <= 1


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_minute_of_killed_savedmodel_servers_fails_no_call(replicas):
    """These need some seconds to start, and the other one is only killed when the first is back."""
    pair = replicas(2, embedded=True)
    with loaded(pair, FOUR, threads=1):
        kills, _ = wreak(pair, 60, 2, random.Random(7))
    assert kills >= 4


def test_without_retries_a_killed_replica_is_noticed(replicas):
    pair = replicas(2)
    with Client([replica.address for replica in pair], retries=1) as client, Load(client) as load:
        wreak(pair, 2, 1, random.Random(7))
    assert load.failed


@pytest.mark.parametrize("kind", CLIENTS)
def test_every_deadline_holds_when_the_server_is_stopped(replicas, kind):
    (replica,) = replicas(1)
    with CLIENTS[kind](replica.at(kind)) as client:
        client.predict("half_plus_two", X)
        replica.freeze()

        def call():
            with pytest.raises(DeadlineExceededError, match=f"no answer from {replica.at(kind)} within"):
                client.predict("half_plus_two", X, timeout=seconds)

        for seconds in (0.1, 0.3) * 2:
            assert_punctual(call, seconds)
        replica.thaw()
        assert client.predict("half_plus_two", X)["y"].tolist() == [3.0]


def test_a_frozen_replica_costs_one_attempt_and_is_then_left_out(replicas):
    pair = replicas(2)
    with Client([replica.address for replica in pair], attempt_timeout=0.25) as client:
        client.predict("half_plus_two", X)
        pair[0].freeze()
        for _ in range(12):
            assert client.predict("half_plus_two", X)["y"].tolist() == [3.0]
        # three late answers in a row, then it rests
        assert client.stats().attempts - client.stats().calls <= 5
        pair[0].thaw()


def test_a_slow_replica_is_hedged(replicas):
    slow, fast = (replicas(1, seconds=5.0)[0], replicas(1)[0])

    async def both():
        async with AsyncClient([slow.address, fast.address], hedge_after=0.2) as client:
            for _ in range(4):
                await client.predict("half_plus_two", X)
            return client.stats()

    with Client([slow.address, fast.address], hedge_after=0.2) as client:
        for _ in range(4):
            assert client.predict("half_plus_two", X)["y"].tolist() == [3.0]
        for stats in (client.stats(), asyncio.run(both())):
            assert stats.latency_max < 4
            assert stats.hedges >= 1


def test_a_server_without_free_threads_fails_no_call_that_may_be_sent_again(replicas):
    (full,) = replicas(1, "--grpc_max_threads=2", embedded=True)
    # large enough to keep both threads busy while others arrive
    x = {"x": np.full(500_000, 2.0, np.float32)}
    with Client(full.address) as client, futures.ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(client.predict, "half_plus_two", x) for _ in range(100)]:
            assert future.result()["y"][-1] == 3.0
        stats = client.stats()
    assert stats.succeeded == stats.calls == 100
    assert stats.attempts > 101

    async def awaited():
        async with AsyncClient(full.address) as client:
            await client.predict("half_plus_two", x)
            await asyncio.gather(*(client.predict("half_plus_two", x) for _ in range(100)))
            return client.stats()

    stats = asyncio.run(awaited())
    assert stats.succeeded == stats.calls == 101
    assert stats.attempts > 102

    with Client(full.address, retries=1) as client, futures.ThreadPoolExecutor(16) as pool:
        client.predict("half_plus_two", x)
        found = [pool.submit(client.predict, "half_plus_two", x) for _ in range(100)]
        errors = [error for future in found if (error := future.exception()) is not None]
    assert errors
    assert all(isinstance(error, ResourceExhaustedError) for error in errors)
    assert "--grpc_max_threads" in errors[0].hint


LEAKS = """
import gc, os, sys, threading
import numpy as np
from tfs_deploy.client import Client

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def descriptors():
    return len(os.listdir("/proc/self/fd"))

address, rounds, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
x = {"x": np.arange(10, dtype=np.float32)}
with Client(address) as client:
    for _ in range(calls):
        client.predict("half_plus_two", x)
    gc.collect()
    before = resident(), descriptors(), threading.active_count()
    for _ in range(rounds):
        for _ in range(calls):
            client.predict("half_plus_two", x)
    gc.collect()
    after = resident(), descriptors(), threading.active_count()
print(before, after)
grown = after[0] - before[0]
assert grown < 4 * 2**20, f"{grown} bytes more"
assert after[1] <= before[1] and after[2] <= before[2], (before, after)
"""


def leaks(address, rounds, calls):
    command = [sys.executable, "-c", textwrap.dedent(LEAKS), address, str(rounds), str(calls)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_memory_descriptors_and_threads_stay_flat(replicas):
    leaks(replicas(1)[0].address, 3, 1000)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_a_million_calls_leave_memory_flat(replicas):
    leaks(replicas(1)[0].address, 100, 10_000)


FORKS = """
import os, sys, threading
import numpy as np
from tfs_deploy.client import Client

client = Client(sys.argv[1])
x = {"x": np.array([2.0], np.float32)}

def work():
    for _ in range(20):
        assert client.predict("half_plus_two", x, timeout=30)["y"].tolist() == [3.0]

def together():
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

together()
children = []
for _ in range(4):
    child = os.fork()
    if not child:
        try:
            together()
            assert client.stats().failed == {}
            os._exit(0)
        finally:
            os._exit(1)
    children.append(child)
together()
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert codes == [0] * 4, codes
os._exit(0)
"""


def test_forked_workers_call_beside_their_parent(replicas):
    """gRPC forbids a fork while calls are under way; before and after, everybody may call."""
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, replicas(1)[0].address],
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"},
    )
    assert result.returncode == 0, result.stderr[-3000:]
