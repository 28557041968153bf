# SPDX-License-Identifier: Apache-2.0
"""Clients that are many, slow, half gone or lying: served or refused, at a bounded price, at nobody else's cost."""

from __future__ import annotations

import gzip
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from support.lateness import ENDING_HANDS, Wakes
from support.live import until
from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.codec import encode_predict_request
from tfs_deploy.protos import methods

from .conftest import public_config

if TYPE_CHECKING:
    from .conftest import Server

CONNECTIONS = 2000
GOOD = b'{"instances": [[1.0], [2.0]]}'
HEAD = b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: x\r\n"


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=300)


def read_reply(connection: socket.socket) -> bytes:
    """Everything until the server closes, or the first whole reply."""
    data = b""
    while True:
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length: ") and len(body) >= int(line[16:]):
                return data
        piece = connection.recv(1 << 16)
        if not piece:
            return data
        data += piece


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CONNECTIONS + 1000:
        pytest.skip(f"a process may open only {hard} files here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CONNECTIONS + 1000), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_idle_connections(server: Server) -> None:
    server.assert_well()
    before = server.status_line("VmRSS")
    files, threads = server.open_files(), server.status_line("Threads")
    with many_files(), ExitStack() as stack:
        for number in range(CONNECTIONS):
            port = server.rest_port if number % 2 else server.grpc_port
            stack.enter_context(connect(port))
            if number % 50 == 49:  # the system forgets connections for which a busy server has no room in its backlog
                until(lambda opened=number + 1: server.open_files() >= files + opened)
        server.assert_well()
        with Client(server.grpc_address) as client:
            assert client.predict("half_plus_two", {"x": np.float32([[4]])})["y"] == 4.0
        assert server.status_line("VmRSS") - before < 100
        assert server.status_line("Threads") < threads + 40
    until(lambda: server.open_files() < files + 50)
    server.assert_well()


def test_slow_writers(server: Server) -> None:
    """A hundred requests arrive in pieces; nobody waits for them, and they are answered in the end."""
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(server.rest_port)) for _ in range(100)]
        for part in (request[:30], request[30:90], request[90:-3]):
            for connection in slow:
                connection.sendall(part)
            server.assert_well()
        for connection in slow:
            connection.sendall(request[-3:])
        for connection in slow:
            assert b" 200 " in read_reply(connection).split(b"\r\n")[0]


def test_half_closed_after_the_request(server: Server) -> None:
    with connect(server.rest_port) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
        connection.shutdown(socket.SHUT_WR)
        assert b"200 OK" in read_reply(connection)
        assert connection.recv(10) == b""


def test_half_closed_within_the_request(server: Server) -> None:
    with connect(server.rest_port) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + GOOD)
        connection.shutdown(socket.SHUT_WR)
        assert b"200" not in read_reply(connection)
    server.assert_well()


def test_half_closed_grpc(server: Server) -> None:
    files = server.open_files()
    with ExitStack() as stack:
        for _ in range(50):
            connection = stack.enter_context(connect(server.grpc_port))
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
            connection.shutdown(socket.SHUT_WR)
        server.assert_well()
    until(lambda: server.open_files() < files + 10)


def test_gone_before_the_reply(server: Server) -> None:
    for _ in range(50):
        with connect(server.rest_port) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
    server.assert_well()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(b"Content-Length: 5\r\n\r\n", GOOD, id="length too small"),
        pytest.param(b"Content-Length: -1\r\n\r\n", GOOD, id="negative length"),
        pytest.param(b"Content-Length: 99999999999999999999\r\n\r\n", GOOD, id="length beyond 64 bits"),
        pytest.param(b"Content-Length: x\r\n\r\n", GOOD, id="length no number"),
        pytest.param(b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n", GOOD, id="two lengths"),
        pytest.param(b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", GOOD, id="length and chunks"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\nabc\r\n", id="chunk size no number"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"ffffffffffffffffff\r\nabc", id="chunk size too large"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabcdef\r\n0\r\n\r\n", id="chunk longer than said"),
        pytest.param(b"X: " + b"a" * 1_000_000 + b"\r\n\r\n", b"", id="long header"),
        pytest.param(b"\x00\x01\x02\r\n\r\n", b"", id="binary header"),
    ],
)
def test_lies_about_the_body(head: bytes, body: bytes, server: Server) -> None:
    with connect(server.rest_port) as connection:
        try:
            connection.sendall(HEAD + head + body)
            connection.shutdown(socket.SHUT_WR)
            reply = read_reply(connection)
        except OSError:  # the server has closed the connection
            reply = b""
    assert b"200 OK" not in reply
    assert not reply.startswith(b"HTTP/1.1 5")
    server.assert_well()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"FOO /v1/models/half_plus_two HTTP/1.1\r\nHost: x\r\n\r\n", b"501 Not Implemented"),
        (b"get /v1/models/half_plus_two HTTP/1.1\r\nHost: x\r\n\r\n", b"501 Not Implemented"),
        (b"PROPFIND /v1/models/half_plus_two HTTP/1.1\r\nHost: x\r\n\r\n", b"501 Not Implemented"),
        (b"GET /v1/models/half_plus_two HTTP/1.1\r\nno header\r\n\r\n", b"400 Bad Request"),
    ],
)
def test_what_is_no_http_gets_the_http_librarys_page(data: bytes, status: bytes, server: Server) -> None:
    with connect(server.rest_port) as connection:
        connection.sendall(data)
        head, _, body = read_reply(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"content-type: text/html" in head.lower()
    assert b"<H1>" + status[4:] + b"</H1>" in body


def test_requests_before_garbage_are_answered(server: Server) -> None:
    with connect(server.rest_port) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD) + GOOD + b"garbage\r\n\r\n")
        replies = b""
        while piece := connection.recv(1 << 16):
            replies += piece
    assert replies.startswith(b"HTTP/1.1 200 OK")
    assert b'"predictions"' in replies
    assert replies.count(b"HTTP/1.1 501 Not Implemented") == 1


def test_length_too_large(server: Server) -> None:
    """The server waits for the rest, and forgets the request when its sender gives up."""
    before = server.status_line("VmRSS")
    files = server.open_files()
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect(server.rest_port))
            connection.sendall(HEAD + b"Content-Length: 1000000000\r\n\r\n" + GOOD)
        server.assert_well()
        assert server.status_line("VmRSS") - before < 50
    until(lambda: server.open_files() < files + 5)


def post(server: Server, path: str, body: bytes) -> tuple[int, bytes]:
    with connect(server.rest_port) as connection:
        connection.settimeout(300)
        head = f"POST /v1/models/{path}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        head_, _, content = read_reply(connection).partition(b"\r\n\r\n")
        return int(head_.split(b" ")[1]), content


def test_large_bodies(server: Server) -> None:
    """64 MB that make sense are served, 64 MB that do not are refused; nothing of them stays."""
    text = b"A" * (64 << 20)
    wanted = b'{"signature_name":"strlen","instances":[{"b64":"' + text + b'"}]}'
    for body, status in ((b"[" + text, 400), (b"[" * len(text), 400), (wanted[:-3], 400), (wanted, 200)):
        found, content = post(server, "zoo", body)
        assert found == status
        assert len(content) < 1000
        server.assert_well()
    array = np.zeros((len(text) // 4, 1), np.float32)
    with grpc.insecure_channel(server.grpc_address, [("grpc.max_receive_message_length", -1)]) as channel:
        call = channel.unary_unary(methods.PREDICT)
        assert len(call(encode_predict_request("half_plus_two", {"x": array}), timeout=300)) > array.nbytes
    until(lambda: server.status_line("VmRSS") < 700)


@pytest.mark.full
def test_large_bodies_of_numbers(server: Server) -> None:
    row = b"[" + b",".join([b"0.25"] * 1000) + b"]"
    wanted = b'{"instances":[' + b",".join([row] * ((64 << 20) // len(row))) + b"]}"
    for body, status in ((wanted[:-1], 400), (wanted, 200)):
        assert post(server, "half_plus_two", body)[0] == status
        server.assert_well()
    until(lambda: server.status_line("VmRSS") < 1500)


def test_gzip_bomb(server: Server) -> None:
    body = gzip.compress(b" " * (300 << 20), 9)
    before = server.status_line("VmHWM")
    with connect(server.rest_port) as connection:
        connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        reply = read_reply(connection)
    assert b" 400 " in reply.split(b"\r\n")[0]
    assert "The document is empty" in json.loads(reply.partition(b"\r\n\r\n")[2])["error"]
    assert server.status_line("VmHWM") - before < 250


def test_small_messages_for_large_tensors(server: Server) -> None:
    before = server.status_line("VmHWM")
    message = protos.PredictRequest()
    message.model_spec.name = "half_plus_two"
    message.inputs["x"].dtype = 1
    message.inputs["x"].float_val.append(1.0)
    message.inputs["x"].tensor_shape.dim.add(size=2**33)
    request = message.SerializeToString()
    with grpc.insecure_channel(server.grpc_address) as channel:
        call = channel.unary_unary(methods.PREDICT)
        with pytest.raises(grpc.RpcError) as failure:
            call(request, timeout=300)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert server.status_line("VmHWM") - before < 100


def test_others_are_served_meanwhile(server: Server) -> None:
    """Small requests are answered while bodies of 16 MB are read and parsed."""
    body = b'{"instances":[' + b",".join([b"[0.25]"] * ((16 << 20) // 7)) + b"]}"
    done = threading.Event()
    replies: list[bytes] = []

    def send() -> None:
        with connect(server.rest_port) as connection:
            connection.settimeout(300)
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            replies.append(read_reply(connection))
        done.set()

    sender = threading.Thread(target=send)
    sender.start()
    small = 0
    while not done.is_set():
        server.assert_well()
        small += 1
        time.sleep(0.01)
    sender.join()
    assert b"200 OK" in replies[0]
    assert small >= 3


@pytest.mark.parametrize(
    "megabytes", [60, pytest.param(300, marks=[pytest.mark.full, pytest.mark.timeout(600)])], ids="{} MB".format
)
@pytest.mark.parametrize("row", [b"[],", b"[NaN],"], ids=["lists", "NaN"])
def test_sigterm_while_a_large_body_is_parsed(
    row: bytes, megabytes: int, models: Path, tmp_path: Path, start: Callable[..., Server]
) -> None:
    """The parser lets other threads run, and so the end of the process."""
    (tmp_path / "models.config").write_text(public_config(models))
    server = start(f"--model_config_file={tmp_path}/models.config", "--drain_seconds=0.5")
    block = row * (1 << 20)
    count = (megabytes << 20) // len(block)
    begin, end = b'{"instances":[', b"[]]}"
    size = len(begin) + count * len(block) + len(end)
    with connect(server.rest_port) as connection:
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % size)
        connection.sendall(begin)
        for _ in range(count):
            connection.sendall(block)
        before = server.processor_seconds()
        connection.sendall(end)
        until(lambda: server.processor_seconds() > before + 0.1)  # it has begun
        with Wakes() as wakes:
            begun = time.monotonic()
            server.process.terminate()
            assert server.process.wait(100) == 0
            took = time.monotonic() - begun
    assert took < 0.5 + 1 + ENDING_HANDS * wakes.worst
