"""The arguments of a channel, seen on the wire."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

from support.dns import NameServer
from support.http2 import Http2Server
from tfs_deploy.client import Client
from tfs_deploy.client.grpc.channel import channel_options
from tfs_deploy.client.options import make_grpc_settings
from tfs_deploy.errors import ResourceExhaustedError, TfsDeployError


def test_an_argument_of_the_caller_replaces_the_clients_own(grpc_address):
    limit = [("grpc.max_receive_message_length", 1000)]
    with Client(grpc_address, options=limit) as client:
        assert client.predict("half", {"x": np.ones(10, np.float32)})["y"].size == 10
        with pytest.raises(ResourceExhaustedError, match="larger than max"):
            client.predict("half", {"x": np.ones(1000, np.float32)})


@pytest.mark.parametrize("options", [{"keepalive": 0.1}, {"options": [("grpc.keepalive_time_ms", 100)]}])
def test_keepalive_sends_pings(options):
    with Http2Server() as server, Client(server.address, retries=1, **options) as client:
        call = threading.Thread(target=_status, args=(client,))
        call.start()
        assert server.pinged.wait(5)
    call.join()


def _status(client):
    with contextlib.suppress(TfsDeployError):
        client.status("half", timeout=20)


def test_every_argument_is_given_once():
    settings = make_grpc_settings({"keepalive": 1.0, "options": [("grpc.keepalive_time_ms", 7), ("grpc.x", "y")]})
    made = channel_options("localhost:8500", settings)
    assert len(dict(made)) == len(made)
    assert dict(made)["grpc.keepalive_time_ms"] == 7
    assert dict(made)["grpc.enable_http_proxy"] == 0


def test_replicas_that_come_back_at_other_addresses_are_found(tiny, listen, free_port):
    """As pods of a headless Service do when they restart one after the other."""
    places = [f"127.0.0.{host}" for host in (2, 3, 4)]
    with contextlib.ExitStack() as stack, NameServer(places[0]) as names:
        client = stack.enter_context(Client(f"dns://127.0.0.1:{names.port}/models.test:{free_port}"))
        for place in places:
            with listen(tiny, f"{place}:{free_port}"):
                names.addresses = (place,)
                assert client.predict("half", {"x": np.ones(1, np.float32)}, timeout=5)["y"].tolist() == [0.5]
