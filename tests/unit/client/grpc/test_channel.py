# SPDX-License-Identifier: Apache-2.0
"""The arguments of a channel, seen on the wire."""

from __future__ import annotations

import contextlib
import threading
import time

import grpc
import numpy as np
import pytest

from support.dns import NameServer
from support.http2 import Http2Server
from tfs_deploy.client import Client, Tls
from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.call_record import CallRecord
from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.grpc.channel import (
    SMALL_REQUEST,
    UNANSWERED,
    Channel,
    call_error,
    call_metadata,
    channel_credentials,
    channel_options,
    goes_on,
)
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


class Failed:
    """A ``grpc.RpcError`` as a call raises it."""

    def __init__(self, code, details):
        self.code, self.details = (lambda: code), (lambda: details)


TURNED_AWAY = Failed(grpc.StatusCode.UNAVAILABLE, "Received RST_STREAM with error code 7")


def new_call(**more):
    record = CallRecord("predict", ModelRef("m"), None, "grpc", {}, 0.0)
    return Call("/x", b"abc", 10.0, **{"end": time.monotonic() + 10.0, "record": record, **more})


def test_a_call_that_is_turned_away_goes_on_three_times():
    call = new_call()
    assert [goes_on(TURNED_AWAY, call) for _ in range(5)] == [True, True, True, False, False]
    assert (call.turned_away, call.record.attempts, call.record.bytes_sent) == (3, 3, 9)


@pytest.mark.parametrize("more", [{"may_retry": False}, {"end": 0.0}, {"turned_away": 3}])
def test_a_call_that_may_not_be_repeated_does_not_go_on(more):
    assert not goes_on(TURNED_AWAY, new_call(**more))


@pytest.mark.parametrize(
    ("code", "details"),
    [
        (grpc.StatusCode.UNAVAILABLE, "connection refused"),
        (grpc.StatusCode.UNAVAILABLE, None),
        (grpc.StatusCode.INTERNAL, "Received RST_STREAM with error code 7"),
    ],
)
def test_other_failures_do_not_go_on(code, details):
    assert not goes_on(Failed(code, details), new_call())


def test_a_call_that_is_late_leaves_its_connection_suspect():
    late = Failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    for end, marks in ((time.monotonic() + 10, set()), (time.monotonic(), {UNANSWERED})):
        channel = Channel(None, encrypted=False)
        call_error(channel, late, "localhost:8500", new_call(end=end))
        assert channel.pending_writes == marks


def test_the_arguments_of_a_channel():
    made = dict(channel_options("dns:models:8500", make_grpc_settings({})))
    assert made["grpc.lb_policy_name"] == "round_robin"
    assert (made["grpc.max_receive_message_length"], made["grpc.max_send_message_length"]) == (512 << 20, -1)
    assert (made["grpc.use_local_subchannel_pool"], made["grpc.dns_min_time_between_resolutions_ms"]) == (1, 500)
    assert (made["grpc.initial_reconnect_backoff_ms"], made["grpc.max_reconnect_backoff_ms"]) == (50, 250)
    assert (made["grpc.keepalive_time_ms"], made["grpc.keepalive_timeout_ms"]) == (310_000, 10_000)
    assert "grpc.ssl_target_name_override" not in made
    assert "grpc.default_compression_algorithm" not in made
    settings = make_grpc_settings({"tls": Tls(name="models.internal"), "compression": "gzip", "keepalive": 2.5})
    made = dict(channel_options("localhost:8500", settings))
    assert made["grpc.ssl_target_name_override"] == "models.internal"
    assert (made["grpc.default_compression_algorithm"], made["grpc.keepalive_time_ms"]) == (2, 2500)
    assert "grpc.lb_policy_name" not in made


def test_the_credentials_of_a_channel():
    assert channel_credentials(make_grpc_settings({})) is None
    assert isinstance(channel_credentials(make_grpc_settings({"tls": True})), grpc.ChannelCredentials)
    own = grpc.ssl_channel_credentials()
    assert channel_credentials(make_grpc_settings({"credentials": own})) is own
    tokens = grpc.access_token_call_credentials("t")
    both = channel_credentials(make_grpc_settings({"credentials": own, "call_credentials": tokens}))
    assert isinstance(both, grpc.ChannelCredentials)
    assert both is not own


def test_the_headers_of_a_call_as_grpc_takes_them():
    call = new_call()
    assert call_metadata(call) is None
    call.record.headers["a"] = "1"
    assert call_metadata(call) == (("a", "1"),)
    assert call_metadata(Call("/x", b"")) is None


def test_requests_below_16_kib_fit_a_connection_whose_server_does_not_read():
    assert SMALL_REQUEST == 16 << 10
