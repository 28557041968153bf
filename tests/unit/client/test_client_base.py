# SPDX-License-Identifier: Apache-2.0
"""The clients over real sockets: limits, deadlines, forks, wrong ports, closed clients, damaged replies."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from support.clients import CLIENTS
from tfs_deploy import protos
from tfs_deploy.client import Client, RestClient
from tfs_deploy.errors import (
    Code,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    RequestError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
    UsageError,
    status_error,
)

X = {"x": np.array([2, 4], np.float32)}


@pytest.fixture(params=["grpc", "rest"])
def client(request, tiny):
    address = request.getfixturevalue(f"{request.param}_address")
    with (Client if request.param == "grpc" else RestClient)(address) as client:
        yield client


@pytest.fixture
def grpc_client(grpc_address):
    with Client(grpc_address) as client:
        yield client


@pytest.fixture
def rest_client(rest_address):
    with RestClient(rest_address) as client:
        yield client


def test_predict(client):
    reply = client.predict("half", X)
    assert reply["y"].tolist() == [1, 2]
    assert reply["y"].dtype == np.float32
    assert not reply["y"].flags.writeable
    assert (reply.model, reply.signature) == ("half", "serving_default")
    assert reply.version == (1 if isinstance(client, Client) else None)


def test_several_outputs_and_a_filter(client):
    inputs = {"image": np.ones((1, 2, 2), np.float32), "name": ["a"]}
    reply = client.predict("half", inputs, signature="two")
    assert sorted(reply) == ["image", "name"]
    assert reply["name"].tolist() == [b"a"]


def test_status_and_metadata(client, tiny, new_model):
    tiny.versions[2] = new_model(state="END", code=Code.NOT_FOUND, message="no graph")
    newest, oldest = client.status("half")
    assert (newest.version, newest.state, newest.code, newest.message) == (2, "END", Code.NOT_FOUND, "no graph")
    assert newest.failed
    assert oldest.available
    assert [status.version for status in client.status("half", version=1)] == [1]
    metadata = client.metadata("half")
    assert (metadata.model, metadata.version, sorted(metadata.signatures)) == ("half", 1, ["serving_default", "two"])
    assert metadata.signatures["two"].inputs["image"].shape == (None, 2, 2)
    assert metadata.signatures["two"].defaults == {"name"}


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda c: c.predict("nosuch", X), NotFoundError, "Servable not found for request: Latest(nosuch)"),
        (lambda c: c.predict("half", X, version=9), NotFoundError, "Servable not found for request: Specific(half, 9)"),
        (lambda c: c.predict("half", X, label="a"), InvalidArgumentError, "Unrecognized servable version label: a"),
        (lambda c: c.metadata("half", label="a"), InvalidArgumentError, "Unrecognized servable version label: a"),
        (lambda c: c.status("nosuch"), NotFoundError, "Could not find any versions of model nosuch"),
        (lambda c: c.predict("half", {"y": 1}), RequestError, "signature serving_default has no input y; it has: x"),
        (lambda c: c.predict("half", X, label="a", version=1), RequestError, "a version or a label, not both"),
    ],
)
def test_errors_are_the_same_over_both(client, call, kind, message):
    with pytest.raises(kind) as caught:
        call(client)
    assert message in caught.value.message
    assert caught.value.hint


def test_big_messages_pass(grpc_client):
    """gRPC's own limit is 4 MiB."""
    array = np.ones(2_000_000, np.float32)
    assert grpc_client.predict("half", {"x": array}, timeout=60)["y"].shape == array.shape


def test_threads_share_a_client(client):
    wrong = []

    def ask(number):
        value = np.full(3, number, np.float32)
        wrong.extend(
            reply
            for _ in range(20)
            if not np.array_equal((reply := client.predict("half", {"x": value}))["y"], value / 2)
        )

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_reload(grpc_client, rest_client, tiny):
    grpc_client.reload(protos.ModelServerConfig())
    tiny.reload_status = (9, "not available for inference")
    with pytest.raises(FailedPreconditionError, match="not available for inference"):
        grpc_client.reload("model_config_list {}")
    with pytest.raises(UnimplementedError, match="the REST API cannot reload"):
        rest_client.reload("")


@pytest.mark.tensorflow
def test_reload_takes_messages_of_the_official_package(grpc_client):
    from tensorflow_serving.config import model_server_config_pb2

    grpc_client.reload(model_server_config_pb2.ModelServerConfig())


@pytest.mark.parametrize("code", [code for code in Code if code not in (Code.OK, Code.UNAVAILABLE)])
def test_every_status_has_its_exception(grpc_client, tiny, code):
    def fail(_path):
        raise status_error(code, "the reason")

    tiny.before = fail
    with pytest.raises(type(status_error(code, ""))) as caught:
        grpc_client.status("half")
    assert caught.value.code == code


def test_an_exhausted_server_says_what_to_raise(grpc_client, tiny):
    def fail(_path):
        raise ResourceExhaustedError("Server Threadpool Exhausted")

    tiny.before = fail
    with pytest.raises(ResourceExhaustedError) as caught:
        grpc_client.predict("half", X)
    assert "--grpc_max_threads" in caught.value.hint
    assert caught.value.retriable


def test_the_deadline_holds_when_the_server_freezes():
    """The kernel still accepts connections and bytes for a stopped process."""
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        address = f"127.0.0.1:{frozen.getsockname()[1]}"
        for kind in (Client, RestClient):
            started = time.monotonic()
            with kind(address) as client, pytest.raises(DeadlineExceededError, match=r"within 0\.3 s"):
                client.status("half", timeout=0.3)
            assert time.monotonic() - started < 20


def test_the_deadline_holds_when_the_reply_trickles():
    """Each piece comes in time, the whole does not."""

    def trickle(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            try:
                while True:
                    connection.sendall(b" ")
                    time.sleep(0.02)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with RestClient(address) as client, pytest.raises(DeadlineExceededError, match=r"within 0\.3 s"):
            client.status("half", timeout=0.3)
        thread.join()


def test_nobody_listens(free_port):
    address = f"127.0.0.1:{free_port}"
    for kind in (Client, RestClient):
        with (
            kind(address) as client,
            pytest.raises(UnavailableError, match=f"cannot reach {address}: .*refused") as caught,
        ):
            client.predict("half", X)
        assert caught.value.hint == f"is the server running at {address}? tfs-deploy up starts one"
        assert caught.value.retriable
        assert caught.value.exit_code == 3


def test_a_server_that_hangs_up():
    """As one does that expects TLS, and one that speaks neither."""

    def hang_up(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(100)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=hang_up, args=(listener,))
        thread.start()
        with Client(address) as client, pytest.raises(UnavailableError, match="closed the connection") as caught:
            client.status("half")
        assert "TLS" in caught.value.hint
        with RestClient(address) as client, pytest.raises(UnavailableError, match=f"cannot reach {address}"):
            client.status("half")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200 O",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
    ],
)
@pytest.mark.parametrize("kind", ["rest", "async-rest"])
def test_a_server_that_dies_in_the_middle_of_a_reply_is_asked_again(kind, reply):
    def answer(listener):
        for each in (reply, b'HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{"model_version_status": []}'):
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(each)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        with CLIENTS[kind](f"127.0.0.1:{listener.getsockname()[1]}") as client:
            assert client.status("half") == []
            assert client.stats().attempts == 2
        thread.join()


def test_unknown_host():
    for kind in (Client, RestClient):
        with (
            kind("nosuchhost.invalid:8500") as client,
            pytest.raises(UnavailableError, match=r"nosuchhost\.invalid:8500"),
        ):
            client.status("half")


def test_wrong_ports_are_recognised(grpc_address, rest_address):
    with Client(rest_address) as client:
        with pytest.raises(UnavailableError, match=f"{rest_address} speaks HTTP/1, not gRPC") as caught:
            client.status("half")
        assert "8500" in caught.value.hint
        assert not caught.value.retriable
        with pytest.raises(UnavailableError, match="speaks HTTP/1"):
            client.wait_ready("half", timeout=100)
    with RestClient(grpc_address) as client:
        with pytest.raises(UnavailableError, match=f"{grpc_address} does not speak HTTP/1") as caught:
            client.status("half")
        assert "8501" in caught.value.hint
        with pytest.raises(UnavailableError, match="does not speak HTTP/1"):
            client.wait_ready("half", timeout=100)


def test_a_grpc_server_that_is_no_model_server(listen):
    with listen(None) as listener, Client(listener.address) as client, pytest.raises(UnimplementedError):
        client.status("half")


@pytest.mark.parametrize(
    ("canned", "kind", "message"),
    [
        ((404, b"<html>not here</html>"), NotFoundError, "answered HTTP 404: not here"),
        ((400, b""), InvalidArgumentError, "answered HTTP 400 without a reason"),
        ((502, b"<html>Bad Gateway</html>"), UnavailableError, "answered HTTP 502: Bad Gateway"),
        ((500, b'{"error": "broken"}'), InternalError, "broken"),
        ((429, b'{"error": "too many"}'), ResourceExhaustedError, "too many"),
        ((504, b'{"error": "Timed out waiting for notification"}'), DeadlineExceededError, "Timed out"),
        ((200, b"<html>a login page</html>"), DataLossError, "the reply is not JSON"),
        ((200, b"[]"), DataLossError, "the reply is not a valid model status"),
        (
            (200, b'{"model_version_status": [{"state": "END"}]}'),
            DataLossError,
            "the reply is not a valid model status",
        ),
    ],
)
def test_odd_http_replies(rest_handler, rest_client, canned, kind, message):
    rest_handler.canned = canned
    with pytest.raises(kind, match=message):
        rest_client.status("half")


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b'{"model_spec": {"version": "x"}, "metadata": {"signature_def": {}}}',
        b'{"model_spec": {}, "metadata": {"signature_def": {"\\udcdcignature_def": {}}}}',
        b'{"model_spec": {}, "metadata": {"signature_def": {"signature_def": {"\xff": {}}}}}',
    ],
)
def test_odd_metadata(rest_handler, rest_client, body):
    rest_handler.canned = (200, body)
    with pytest.raises(DataLossError, match="the reply is not valid model metadata"):
        rest_client.metadata("half")


def test_damaged_grpc_replies(grpc_client, tiny):
    tiny.answer = lambda *_: b"\xff\xff"
    for call in (
        lambda: grpc_client.status("half"),
        lambda: grpc_client.metadata("half"),
        lambda: grpc_client.reload(protos.ModelServerConfig()),
    ):
        with pytest.raises(DataLossError, match="the reply is no"):
            call()


def test_a_closed_client_says_so(client):
    client.predict("half", X)
    client.close()
    client.close()
    with pytest.raises(UsageError, match="is closed"):
        client.predict("half", X)


def test_a_server_that_comes_back_is_found_again(tiny, free_port, listen):
    with Client(f"127.0.0.1:{free_port}") as client:
        for _ in range(2):
            with listen(tiny, f"127.0.0.1:{free_port}"):
                assert client.wait_ready("half", timeout=100) == 1
            with pytest.raises(UnavailableError):
                client.status("half")


def test_a_forked_child_gets_a_channel_of_its_own(grpc_address, rest_address):
    code = f"""
    import os
    import numpy as np
    from tfs_deploy.client import Client, RestClient
    clients = Client({grpc_address!r}), RestClient({rest_address!r})
    ask = lambda: [float(client.predict("half", {{"x": np.ones(1, "f4")}}, timeout=20)["y"][0]) for client in clients]
    assert ask() == [0.5, 0.5]
    for _ in range(2):
        child = os.fork()
        if not child:
            try:
                assert ask() == [0.5, 0.5]
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ask() == [0.5, 0.5]
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=100,
        env={name: value for name, value in os.environ.items() if name != "GRPC_ENABLE_FORK_SUPPORT"},
    )
    assert result.returncode == 0, result.stderr


def test_unix_sockets(tiny, tmp_path, listen):
    with listen(tiny, f"unix:{tmp_path}/tfs.sock") as listener, Client(listener.address) as client:
        assert client.status("half")[0].version == 1
