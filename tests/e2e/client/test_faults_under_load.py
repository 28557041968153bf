"""Servers that die, freeze and are full, under load: no call fails that a retry can save, and deadlines hold."""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from concurrent import futures

import numpy as np
import pytest
from typing_extensions import Self

from tfs_deploy.client import AsyncClient, Client
from tfs_deploy.errors import DeadlineExceededError, ResourceExhaustedError, TfsDeployError

X = {"x": np.array([2.0], np.float32)}


class Load:
    """Threads that predict without pause until told to stop; keeps what failed."""

    def __init__(self, client: Client, threads: int = 6) -> None:
        self.done = 0
        self.failed: list[TfsDeployError] = []
        self._client = client
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                reply = self._client.predict("half_plus_two", X)
            except TfsDeployError as error:  # noqa: PERF203 - each call may fail
                self.failed.append(error)
            else:
                assert reply["y"].tolist() == [3.0]
                self.done += 1


def wreak(pair, seconds, pause, chance):
    """Kill one of the replicas, start it again, wait until it answers, and so on."""
    end = time.monotonic() + seconds
    kills = 0
    while time.monotonic() < end:
        victim = chance.choice(pair)
        began = time.monotonic()
        victim.kill()
        kills += 1
        victim.start()
        victim.wait()
        threading.Event().wait(max(0.0, began + pause - time.monotonic()))
    return kills


TARGETS = {
    "several-targets": lambda pair: [replica.address for replica in pair],
    "grpc-round-robin": lambda pair: "ipv4:" + ",".join(replica.address for replica in pair),
}


@pytest.mark.parametrize("target", TARGETS)
def test_replicas_that_are_killed_fail_no_call(replicas, target):
    pair = replicas(2)
    with Client(TARGETS[target](pair)) as client, Load(client) as load:
        assert wreak(pair, 4, 1, random.Random(7)) >= 2
    assert load.failed == []
    assert load.done > 100
    assert client.stats().attempts > client.stats().calls


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_a_minute_of_killed_replicas_fails_no_call(replicas, target, embedded):
    pair = replicas(2, embedded=embedded)
    with Client(TARGETS[target](pair)) as client, Load(client) as load:
        kills = wreak(pair, 60, 2, random.Random(7))
    assert load.failed == []
    # an embedded server needs some seconds to start, and the other one is only killed when it is back
    assert kills >= (4 if embedded else 20)


def test_killed_replicas_fail_no_awaited_call(replicas):
    pair = replicas(2)

    async def run():
        failed = []
        over = asyncio.Event()

        async def work(client):
            while not over.is_set():
                try:
                    await client.predict("half_plus_two", X)
                except TfsDeployError as error:  # noqa: PERF203 - each call may fail
                    failed.append(error)

        async with AsyncClient([replica.address for replica in pair]) as client:
            tasks = [asyncio.create_task(work(client)) for _ in range(8)]
            await asyncio.to_thread(wreak, pair, 3, 1, random.Random(3))
            over.set()
            await asyncio.gather(*tasks)
            return failed, client.stats()

    failed, stats = asyncio.run(run())
    assert failed == []
    assert stats.succeeded == stats.calls > 50


def test_without_retries_a_killed_replica_is_noticed(replicas):
    pair = replicas(2)
    with Client([replica.address for replica in pair], retries=1) as client, Load(client) as load:
        wreak(pair, 2, 1, random.Random(7))
    assert load.failed


def late(seconds, call):
    """Seconds that a call came behind its deadline, and the most that a bare sleep came late meanwhile."""
    slept = []

    def sleep():
        started = time.monotonic()
        time.sleep(seconds)
        slept.append(time.monotonic() - started - seconds)

    beside = [threading.Thread(target=sleep) for _ in range(3)]
    for thread in beside:
        thread.start()
    started = time.monotonic()
    with pytest.raises(DeadlineExceededError, match=rf"within {seconds:g} s"):
        call(seconds)
    found = time.monotonic() - started - seconds
    for thread in beside:
        thread.join()
    return found, max(slept)


@pytest.mark.parametrize("awaited", [False, True])
def test_every_deadline_holds_when_the_server_is_frozen(replicas, awaited):
    (replica,) = replicas(1)
    runner = asyncio.new_event_loop()
    client = AsyncClient(replica.address) if awaited else Client(replica.address)

    def predict(seconds=None):
        answer = client.predict("half_plus_two", X, timeout=seconds)
        return runner.run_until_complete(answer) if awaited else answer

    try:
        predict()
        replica.freeze()
        found = [late(seconds, predict) for seconds in (0.1, 0.3) * 6]
        replica.thaw()
        assert predict()["y"].tolist() == [3.0]
    finally:
        closed = client.close()
        if awaited:
            runner.run_until_complete(closed)
        runner.close()
    ours, bare = zip(*found, strict=True)
    assert min(ours) > -0.01
    assert statistics.median(ours) < 0.05
    # A machine that wakes a bare sleep late may wake each of the threads that late through which a call ends: gRPC's
    # timer, its poller, the caller.
    assert max(ours) < 0.05 + 3 * max(bare), found


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
