# SPDX-License-Identifier: Apache-2.0
"""A call ends with its deadline, whichever client makes it and whatever the server is doing when it stops to answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent import futures

import numpy as np
import pytest

from support.clients import CLIENTS
from support.lateness import assert_punctual
from support.relay import Relay, full_backlog
from tfs_deploy.client import Retries
from tfs_deploy.errors import DeadlineExceededError, UnavailableError

#: seconds
LIMIT = 0.2
X = {"x": np.array([2.0], np.float32)}
#: more than sockets hold, also as text
LARGE = {"x": np.full(1_500_000, 2.0, np.float32)}
LARGE_REPLY = {"x": np.full(100_000, 2.0, np.float32)}


@pytest.fixture(scope="module")
def replica(replicas):
    return replicas(1)[0]


@pytest.fixture
def relays(replica):
    """A relay for each kind of client."""
    with contextlib.ExitStack() as stack:
        yield {kind: stack.enter_context(Relay(replica.at(kind))) for kind in CLIENTS}


def each(work):
    """Do the same with the four clients at the same time."""
    with futures.ThreadPoolExecutor(len(CLIENTS)) as pool:
        for future in [pool.submit(work, kind) for kind in CLIENTS]:
            future.result()


def is_late(client, inputs=X, **more):
    """Return a call that has to end with the deadline."""

    def call():
        with pytest.raises(DeadlineExceededError, match=r"no answer .*within 0\.\d+ s"):
            client.predict("half_plus_two", inputs, **more)

    return call


@pytest.mark.parametrize(
    "options", [{}, {"check": False}, {"hedge_after": 0.1}, {"attempt_timeout": 0.1, "retries": 50}], ids=str
)
def test_frozen_before_the_connection(relays, options):
    def work(kind):
        relays[kind].frozen = True
        with CLIENTS[kind](relays[kind].address, timeout=LIMIT, **options) as client:
            assert_punctual(is_late(client), LIMIT)

    each(work)


def test_connections_that_are_never_taken():
    with full_backlog() as address:

        def work(kind):
            with CLIENTS[kind](address) as client:
                assert_punctual(is_late(client, timeout=LIMIT), LIMIT)

        each(work)


@pytest.mark.parametrize("options", [{}, {"hedge_after": 0.1}, {"attempt_timeout": 0.1, "retries": 50}], ids=str)
def test_frozen_between_two_calls(relays, options):
    def work(kind):
        with CLIENTS[kind](relays[kind].address, **options) as client:
            client.predict("half_plus_two", X)
            relays[kind].frozen = True
            assert_punctual(is_late(client, timeout=LIMIT), LIMIT)
            assert_punctual(is_late(client, timeout=LIMIT, signature="serving_default"), LIMIT)
            relays[kind].frozen = False
            assert client.predict("half_plus_two", X)["y"].tolist() == [3.0]

    each(work)


def test_frozen_in_the_middle_of_a_reply(relays):
    def work(kind):
        with CLIENTS[kind](relays[kind].address) as client:
            client.predict("half_plus_two", LARGE_REPLY)
            relays[kind].reply_limit = 150_000
            assert_punctual(is_late(client, LARGE_REPLY, timeout=LIMIT), LIMIT)

    each(work)


def test_a_reply_that_drops_in(relays):
    def work(kind):
        with CLIENTS[kind](relays[kind].address) as client:
            client.predict("half_plus_two", X)
            relays[kind].drops = True
            assert_punctual(is_late(client, timeout=LIMIT), LIMIT)

    each(work)


def test_frozen_in_the_middle_of_a_request(relays):
    for kind in CLIENTS:
        with CLIENTS[kind](relays[kind].address) as client:
            client.predict("half_plus_two", X)
            relays[kind].frozen = True
            assert_punctual(is_late(client, LARGE, timeout=LIMIT), LIMIT)
            # small ones wait behind the large one on the same connection
            assert_punctual(is_late(client, timeout=LIMIT), LIMIT)
            started = time.monotonic()
        # closing waits for nothing either
        assert time.monotonic() - started < 20


def test_frozen_after_attempts_that_failed(relays):
    # the third attempt is due at a thirtieth of the deadline, so that it is made on a slow machine too
    retries, limit = Retries(attempts=1000, first_pause=0.01, longest_pause=0.02, reserve=1000), 1.0

    def work(kind):
        with CLIENTS[kind](relays[kind].address, check=False, retries=retries) as client:
            relays[kind].cuts = 2
            relays[kind].frozen = True

            def call():
                # the last pause may reach beyond the deadline
                with pytest.raises((DeadlineExceededError, UnavailableError)):
                    client.predict("half_plus_two", X, timeout=limit)

            assert_punctual(call, limit)
            assert client.stats().attempts > 2
            assert relays[kind].cuts == 0

    each(work)


def test_refused_until_the_end(free_port):
    """It ends in a pause between two attempts, or where there is no time for one more."""

    def work(kind):
        with CLIENTS[kind](f"127.0.0.1:{free_port}", retries=1000) as client:

            def call():
                with pytest.raises(UnavailableError):
                    client.predict("half_plus_two", X, timeout=LIMIT)

            assert_punctual(call, LIMIT)

    each(work)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.metadata("half_plus_two", timeout=LIMIT),
        lambda client: client.status("half_plus_two", timeout=LIMIT),
        lambda client: client.wait_ready("half_plus_two", timeout=LIMIT),
        lambda client: client.wait_ready("half_plus_two", label="stable", timeout=LIMIT),
        lambda client: client.classify("half_plus_two", [{"x": 1.0}], timeout=LIMIT),
        lambda client: client.model("half_plus_two", timeout=LIMIT).predict(X),
    ],
)
def test_every_method_has_its_deadline(relays, call):
    def work(kind):
        with CLIENTS[kind](relays[kind].address) as client:
            client.wait_ready("half_plus_two", timeout=100)
            relays[kind].frozen = True

            def late():
                with pytest.raises(DeadlineExceededError):
                    call(client)

            assert_punctual(late, LIMIT)

    each(work)


def test_batches_under_way_have_one_deadline(relays):
    examples = [{"x": 1.0} for _ in range(32)]

    def work(kind):
        with CLIENTS[kind](relays[kind].address) as client:
            client.predict("half_plus_two", X)
            relays[kind].frozen = True

            def call():
                found = list(client.predict_many("half_plus_two", examples, batch_size=8, concurrency=4, timeout=LIMIT))
                assert [type(each.error) for each in found] == [DeadlineExceededError] * 32

            assert_punctual(call, LIMIT)

    each(work)


def test_more_hedged_calls_than_threads(relays, monkeypatch):
    monkeypatch.setattr("tfs_deploy.client.transport.hedging._HEDGING_THREADS", 2)
    for kind in ("grpc", "rest"):
        with CLIENTS[kind](relays[kind].address, hedge_after=0.05, check=False) as client:
            client.predict("half_plus_two", X)
            relays[kind].frozen = True
            with futures.ThreadPoolExecutor(4) as pool:
                busy = [pool.submit(client.predict, "half_plus_two", X, timeout=0.6) for _ in range(4)]
                assert_punctual(is_late(client, timeout=LIMIT), LIMIT)
                assert all(isinstance(future.exception(), DeadlineExceededError) for future in busy)


def test_a_name_that_is_looked_up_for_long(monkeypatch):
    over = threading.Event()

    def look_up(*_, **__):
        over.wait(20)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        for kind in ("rest", "async-rest"):
            with CLIENTS[kind]("models.invalid:8501") as client:
                assert_punctual(is_late(client, timeout=LIMIT), LIMIT)
    finally:
        over.set()
