# SPDX-License-Identifier: Apache-2.0
"""What is different with coroutines: concurrency, cancellation, several event loops, deadlines, closing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from support.live import until
from tfs_deploy.client import AsyncClient, AsyncRestClient
from tfs_deploy.errors import DeadlineExceededError, UnavailableError, UsageError

X = {"x": np.array([2, 4], np.float32)}


@pytest.fixture(params=["grpc", "rest"])
def new_client(request):
    """Makes a client; the same server each time."""
    address = request.getfixturevalue(f"{request.param}_address")
    return lambda: (AsyncClient if request.param == "grpc" else AsyncRestClient)(address)


def test_many_calls_at_once(new_client):
    async def main():
        async with new_client() as client:
            values = [np.full(2, number, np.float32) for number in range(32)]
            replies = await asyncio.gather(*(client.predict("half", {"x": value}) for value in values))
            return [reply["y"].tolist() for reply in replies]

    assert asyncio.run(main()) == [[number / 2] * 2 for number in range(32)]


def test_one_client_in_two_event_loops(new_client):
    client = new_client()

    async def ask(*, last):
        reply = await client.predict("half", X)
        if last:
            await client.close()
        return reply["y"].tolist()

    assert asyncio.run(ask(last=False)) == [1, 2]
    assert asyncio.run(ask(last=True)) == [1, 2]
    gc.collect()


@contextlib.contextmanager
def without_gc():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_loop_that_ends_leaves_no_descriptor(new_client):
    client = new_client()

    async def ask():
        await client.predict("half", X)

    with without_gc():
        asyncio.run(ask())
        before = descriptors()
        for _ in range(5):
            asyncio.run(ask())
        until(lambda: descriptors() <= before)  # gRPC closes them in a thread of its own


def test_event_loops_in_turn_keep_their_connections(new_client):
    client = new_client()
    loops = [asyncio.new_event_loop() for _ in range(3)]
    with without_gc():
        for loop in loops:
            loop.run_until_complete(client.predict("half", X))
        before = descriptors()
        for loop in loops * 3:
            assert loop.run_until_complete(client.predict("half", X))["y"].tolist() == [1, 2]
        until(lambda: descriptors() <= before)  # gRPC closes them in a thread of its own
    for loop in loops:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
    asyncio.run(client.close())


def test_closing_in_one_loop_closes_the_connections_of_another(new_client):
    client = new_client()
    other = asyncio.new_event_loop()
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(client.predict("half", X), other).result(20)

    async def close():
        await client.predict("half", X)
        await client.close()
        with pytest.raises(UsageError, match="is closed"):
            await client.predict("half", X)

    asyncio.run(close())
    with pytest.raises(UsageError, match="is closed"):
        asyncio.run_coroutine_threadsafe(client.predict("half", X), other).result(20)
    other.call_soon_threadsafe(other.stop)
    thread.join()
    other.run_until_complete(other.shutdown_asyncgens())
    other.close()
    gc.collect()


def test_a_loop_that_is_closed_without_ceremony_is_forgotten(new_client):
    client = new_client()
    with warnings.catch_warnings():
        # Python says of that loop's sockets that they were not closed
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(3):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(client.predict("half", X))
            loop.close()
        asyncio.run(client.close())
        gc.collect()


def test_a_cancelled_call_leaves_the_client_usable(new_client, tiny):
    entered, leave = threading.Event(), threading.Event()

    async def main():
        async with new_client() as client:
            await client.predict("half", X)
            tiny.run, run = (lambda *_: (entered.set(), leave.wait(10)) and {"y": X["x"]}), tiny.run
            task = asyncio.create_task(client.predict("half", X))
            assert await asyncio.to_thread(entered.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            leave.set()
            tiny.run = run
            return (await client.predict("half", X))["y"].tolist()

    assert asyncio.run(main()) == [1, 2]


def test_the_deadline_holds_when_the_server_freezes():
    async def main(kind, address):
        async with kind(address) as client:
            with pytest.raises(DeadlineExceededError, match=f"no answer from {address} within 0.3 s"):
                await client.status("half", timeout=0.3)

    with socket.create_server(("127.0.0.1", 0)) as frozen:
        for kind in (AsyncClient, AsyncRestClient):
            started = time.monotonic()
            asyncio.run(main(kind, f"127.0.0.1:{frozen.getsockname()[1]}"))
            assert time.monotonic() - started < 20


def test_nobody_listens(free_port):
    async def main(kind):
        async with kind(f"127.0.0.1:{free_port}") as client:
            with pytest.raises(UnavailableError, match=f"cannot reach 127.0.0.1:{free_port}"):
                await client.predict("half", X)

    for kind in (AsyncClient, AsyncRestClient):
        asyncio.run(main(kind))


def test_waiting_does_not_block_the_loop(new_client, tiny, new_model):
    """While one task waits for readiness, another makes the model ready."""
    tiny.versions = {1: new_model(state="LOADING")}
    asked = threading.Event()
    tiny.states, states = (lambda *args: (asked.set(), states(*args))[1]), tiny.states

    async def main():
        async with new_client() as client:
            waiting = asyncio.create_task(client.wait_ready("half", timeout=100))
            assert await asyncio.to_thread(asked.wait, 10)
            tiny.versions[1].state = "AVAILABLE"
            return await waiting

    assert asyncio.run(main()) == 1


def test_a_closed_client_says_so(new_client):
    async def main():
        client = new_client()
        await client.predict("half", X)
        await client.close()
        await client.close()
        with pytest.raises(UsageError, match="is closed"):
            await client.predict("half", X)

    asyncio.run(main())


def test_addresses_are_checked_at_once():
    with pytest.raises(UsageError):
        AsyncClient("http://localhost:8501")
    with pytest.raises(UsageError):
        AsyncRestClient("ftp://localhost")
