"""How often each of the four clients sends a call that fails, over real sockets."""

from __future__ import annotations

import numpy as np
import pytest

from support.clients import CLIENTS
from tfs_deploy.client import Retries
from tfs_deploy.errors import DeadlineExceededError

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
