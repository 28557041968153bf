# SPDX-License-Identifier: Apache-2.0
"""How often each of the four clients sends a call that fails, over real sockets."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from support.clients import CLIENTS
from support.http2 import GOAWAY, Http2Server, frame, response
from tfs_deploy.client import Retries
from tfs_deploy.errors import DeadlineExceededError, UnavailableError

X = {"x": np.array([2, 4], np.float32)}
GAVE_UP = "the model gave up after its own 100 ms"


@pytest.fixture(params=CLIENTS)
def new_client(request, tiny, grpc_address, rest_address, rest_handler):
    """Return a client of a server whose Predict exceeds a deadline of its own."""

    def give_up(path):
        if path.lower().endswith("predict"):
            raise DeadlineExceededError(GAVE_UP)

    tiny.before = give_up
    rest_handler.statuses = {**rest_handler.statuses, DeadlineExceededError.code: 504}
    address = grpc_address if "grpc" in request.param else rest_address
    return lambda **options: CLIENTS[request.param](address, **options)


def test_a_deadline_of_the_server_is_reported_at_once(new_client, tiny):
    with new_client() as client, pytest.raises(DeadlineExceededError) as caught:
        client.predict("half", X)
    assert caught.value.message == GAVE_UP
    assert caught.value.reached
    assert len([call for call in tiny.calls if call.lower().endswith("predict")]) == 1


def test_a_deadline_of_the_server_is_retried_if_the_caller_says_so(new_client, tiny):
    retries = Retries(attempts=3, first_pause=0.001, idempotent=True)
    with new_client(retries=retries) as client, pytest.raises(DeadlineExceededError) as caught:
        client.predict("half", X)
    assert caught.value.message == GAVE_UP
    assert len([call for call in tiny.calls if call.lower().endswith("predict")]) == 3


class Stopping(Http2Server):
    """Turns each call away, and takes no more on that connection, as a server of gRPC does in the moment it stops."""

    def answer(self, stream: int) -> bytes:
        fields = {":status": "200", "content-type": "application/grpc", "grpc-status": "1", "grpc-message": "CANCELLED"}
        return frame(GOAWAY, 0, 0, struct.pack(">II", 2**31 - 1, 0)) + response(stream, fields)


@pytest.mark.parametrize("kind", ["grpc", "async-grpc"])
@pytest.mark.parametrize("target", ["ipv4:{},{}", "{},{}"])
def test_a_server_that_stops_fails_no_call(tiny, grpc_address, kind, target):
    with Stopping() as stopping, CLIENTS[kind](target.format(stopping.address, grpc_address), retries=1) as client:
        for _ in range(4):
            assert client.predict("half", X)["y"].tolist() == [1, 2]
        assert stopping.requests
        assert client.stats().attempts > client.stats().calls


@pytest.mark.parametrize("kind", ["grpc", "async-grpc"])
def test_the_only_server_that_stops_is_named(kind):
    with Stopping() as stopping, CLIENTS[kind](stopping.address, retries=1) as client:
        with pytest.raises(UnavailableError, match=f"{stopping.address} turned the call away: the server stops"):
            client.status("half", timeout=5)
        assert stopping.requests == 4
