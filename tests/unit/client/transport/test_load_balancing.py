# SPDX-License-Identifier: Apache-2.0
"""Clients of several servers."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tfs_deploy.client.call.retries import Retries, RetryBudget
from tfs_deploy.client.client_base import ClientBase
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.options import Settings, make_settings
from tfs_deploy.client.transport.load_balancing import BalancedTransport
from tfs_deploy.errors import (
    UnavailableError,
)

X = {"x": np.array([2, 4], np.float32)}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Switched:
    """A server that is up or down."""

    def __init__(self, tiny: Any) -> None:
        self.up = True
        self._tiny = tiny

    def perform(self, call: Any) -> bytes:
        if not self.up:
            raise UnavailableError("down")
        return self._tiny.answer(call.path, call.body)


@given(
    history=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.1, 1.0])), min_size=1, max_size=40),
    check=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(history=[(0, 1.0)] * 20 + [(1, 0.0)] * 2, check=False)
def test_while_one_of_several_servers_is_up_no_call_fails(new_server, history, check):
    clock = Clock()
    servers = [Switched(new_server()) for _ in range(2)]
    client = ClientBase(GrpcDialect(), servers, Settings(check=check), transport_name="grpc")
    operations = client._operations
    client._transport.replicas._clock = operations.policy._clock = operations.request_steps._clock = clock
    operations.policy._budget = RetryBudget(Retries(), clock.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tfs_deploy.client.client_base.time.sleep", lambda seconds: setattr(clock, "now", clock() + seconds)
        )
        for down, passed in history:
            for number, server in enumerate(servers):
                server.up = number != down
            clock.now += passed
            assert client.predict("half", X)["y"].tolist() == [1, 2]


def test_a_hedge_goes_to_another_server_than_the_slow_one(tiny):
    answered = threading.Event()

    class Slow(Switched):
        def perform(self, call: Any) -> bytes:
            assert answered.wait(20)
            return super().perform(call)

    balanced = BalancedTransport([Slow(tiny), Switched(tiny)])
    # as if other calls took every second turn
    balanced.replicas._turns = itertools.repeat(0)
    client = ClientBase(GrpcDialect(), [balanced], Settings(check=False, hedge_after=0.01), transport_name="grpc")
    try:
        assert client.predict("half", X)["y"].tolist() == [1, 2]
    finally:
        answered.set()


def test_a_call_that_reached_no_server_goes_to_each_other_one_at_once(tiny):
    class Down(Switched):
        def perform(self, call: Any) -> bytes:
            raise UnavailableError("refused", reached=False)

    client = ClientBase(
        GrpcDialect(), [Down(tiny), Down(tiny), Switched(tiny)], make_settings({"retries": 1}), transport_name="grpc"
    )
    assert [client.predict("half", X)["y"].tolist() for _ in range(6)] == [[1, 2]] * 6
    client = ClientBase(GrpcDialect(), [Down(tiny), Down(tiny)], make_settings({"retries": 1}), transport_name="grpc")
    with pytest.raises(UnavailableError, match="refused"):
        client.status("half")
    assert client.stats().attempts == 2
