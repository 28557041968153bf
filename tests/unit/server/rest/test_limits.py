# SPDX-License-Identifier: Apache-2.0
"""What one REST client may take up of the server: connections, time, memory."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.live import until
from tfs_deploy.host.tcp_ports import bind
from tfs_deploy.server.rest.handler import Reply
from tfs_deploy.server.rest.limits import RestLimits
from tfs_deploy.server.rest.server import RestServer

GET = b"GET /v1/models/m HTTP/1.1\r\nHost: m\r\n\r\n"


class Handler:
    """Answers at once, or once it is let go; ``begun`` counts what it was given."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun: list[tuple[str, bytes]] = []

    def handle(self, _method: str, path: str, body: bytes, _timeout: float | None) -> Reply:
        self.begun.append((path, body))
        assert self.go.wait(60)
        return Reply(200, b"{}")


Serve = Callable[..., tuple[RestServer, int]]


@pytest.fixture
def handler() -> Iterator[Handler]:
    handler = Handler()
    yield handler
    handler.go.set()


@pytest.fixture
def serve(handler: Handler) -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def begin(threads: int = 2, timeout: float = 30, **limits: Any) -> tuple[RestServer, int]:
            listener = bind("127.0.0.1", 0, what="REST")
            # few requests fit into the socket
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            port = listener.getsockname()[1]
            server = RestServer(
                handler,  # type: ignore[arg-type]
                listener,
                threads=threads,
                timeout=timeout,
                cors=False,
                limits=RestLimits(**limits),
            )
            server.start()
            stack.callback(server.stop, 0)
            return server, port

        yield begin


def connect(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", port))
    return connection


def read_all(connection: socket.socket) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            data += part
    return data


def protocols(server: RestServer) -> list[Any]:
    return list(server._server.server_state.connections)


def test_requests_sent_ahead_stay_in_the_socket(handler: Handler, serve: Serve) -> None:
    server, port = serve()
    handler.go.clear()
    with connect(port) as client:
        client.setblocking(False)
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += client.send(GET * 100)
        until(lambda: handler.begun)
        (protocol,) = protocols(server)
        assert len(protocol.pipeline) * len(GET) < 2048
        assert len(protocol._ahead) <= 2**18
        handler.go.set()
        client.settimeout(60)
        whole = sent // len(GET)
        client.sendall(GET[sent % len(GET) :] if sent % len(GET) else b"")
        client.shutdown(socket.SHUT_WR)
        # what was sent is answered, in order, and to the last one
        replies = read_all(client).count(b"HTTP/1.1 200")
    assert replies == whole + bool(sent % len(GET)) == len(handler.begun)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_and_what_follows_it_in_pieces_of_every_kind(handler: Handler, serve: Serve, chunked: bool) -> None:
    _, port = serve()
    body = bytes(range(256)) * 1200
    head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\n"
    if chunked:
        parts = [body[at : at + 5000] for at in range(0, len(body), 5000)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX-Late: 1\r\n\r\n"
        request = head + b"Transfer-Encoding: chunked\r\n\r\n" + framed
    else:
        request = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with connect(port) as client:
        client.sendall(request + GET + request + GET)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).count(b"HTTP/1.1 200") == 4
    assert [len(each) for _, each in handler.begun] == [len(body), 0, len(body), 0]
    assert handler.begun[0][1] == handler.begun[2][1] == body


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /v1/mod",
        b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 10\r\n\r\n12",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_client_that_stops_is_sent_away(serve: Serve, sent: bytes) -> None:
    _, port = serve(request_seconds=0.5)
    with connect(port) as client:
        client.sendall(sent)
        read_all(client)


def test_a_client_that_sends_empty_lines_is_sent_away(serve: Serve) -> None:
    _, port = serve(request_seconds=0.5)
    with connect(port) as client:
        client.sendall(GET)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"\r\n")
        read_all(client)


def test_a_connection_that_is_idle(serve: Serve) -> None:
    _, port = serve(idle_seconds=0.2)
    with connect(port) as client:
        client.sendall(GET)
        assert read_all(client).startswith(b"HTTP/1.1 200")


def test_a_client_that_drips(serve: Serve) -> None:
    _, port = serve(request_seconds=0.5)
    with connect(port) as client:
        client.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 100000\r\n\r\n")

        def closed() -> bool:
            try:
                client.send(b"1")
            except OSError:
                return True
            return False

        until(closed, 60)


def test_a_client_that_does_not_read_its_replies(handler: Handler, serve: Serve) -> None:
    server, port = serve(request_seconds=0.5)
    handler.handle = lambda *_: Reply(200, bytes(2**20))  # type: ignore[method-assign]
    with connect(port) as client:
        client.sendall(GET * 100)
        until(lambda: not protocols(server), 60)


@pytest.mark.parametrize("late", [b"X-Long: ", b"POST", b"chunked"])
def test_a_head_without_end(serve: Serve, late: bytes) -> None:
    _, port = serve()
    begin = b"GET /v1/models/m HTTP/1.1\r\nX-Long: "
    if late == b"POST":
        begin = b"GET /"
    if late == b"chunked":
        begin = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
    with connect(port) as client:
        client.sendall(begin + b"a" * 70_000)
        assert read_all(client).startswith(b"HTTP/1.1 431")


def test_connections_beyond_the_limit(serve: Serve) -> None:
    server, port = serve(connections=2)
    with connect(port) as first, connect(port):
        until(lambda: len(protocols(server)) == 2)
        with connect(port) as third:
            assert read_all(third).startswith(b"HTTP/1.1 503")
        first.sendall(GET)
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
    until(lambda: not protocols(server))
    with connect(port) as client:
        client.sendall(GET)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_announced_too_large(handler: Handler, serve: Serve) -> None:
    _, port = serve()
    with connect(port) as client:
        client.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 3000000000\r\n\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 413")
    assert not handler.begun


def test_bodies_in_flight_are_bounded_together(handler: Handler, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tfs_deploy.server.rest.application.MAX_BODIES", 3000)
    _, port = serve()
    handler.go.clear()
    request = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: 2000\r\n\r\n" + bytes(2000)
    with connect(port) as first, connect(port) as second:
        first.sendall(request)
        until(lambda: handler.begun)
        second.sendall(request)
        assert read_all(second).startswith(b"HTTP/1.1 429")
        handler.go.set()
        assert first.recv(65536).startswith(b"HTTP/1.1 200")
        with connect(port) as third:
            third.sendall(request)
            assert third.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_request_whose_client_has_gone_is_not_begun(handler: Handler, serve: Serve) -> None:
    _, port = serve(threads=1)
    handler.go.clear()
    with connect(port) as busy, connect(port) as half:
        busy.sendall(GET)
        until(lambda: handler.begun)
        gone = connect(port)
        gone.sendall(GET.replace(b"/m ", b"/gone "))
        gone.close()
        half.sendall(GET.replace(b"/m ", b"/half "))
        half.shutdown(socket.SHUT_WR)
        # the one that only closed its side is asked twice whether it is there: time enough to miss the other
        seen = b""
        while seen.count(b"100 Continue") < 4:
            seen += half.recv(65536)
        handler.go.set()
        assert b"HTTP/1.1 200" in read_all(half)
        assert busy.recv(65536).startswith(b"HTTP/1.1 200")
    assert [path for path, _ in handler.begun] == ["/v1/models/m", "/v1/models/half"]


@pytest.mark.parametrize(
    "bad", [b"garbage\r\n\r\n", GET.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nx")]
)
@pytest.mark.parametrize("before", [1, 2, 4])
def test_requests_before_bad_ones_are_answered_first(handler: Handler, serve: Serve, before: int, bad: bytes) -> None:
    _, port = serve()
    handler.go.clear()
    with connect(port) as client:
        client.sendall(GET * before + bad)
        client.shutdown(socket.SHUT_WR)
        until(lambda: handler.begun)
        handler.go.set()
        found = re.findall(rb"HTTP/1.1 (\d+)", read_all(client))
    assert found[:-1] == [b"200"] * before
    assert found[-1] in (b"400", b"501")


def test_work_that_cannot_be_interrupted_takes_no_thread_from_others(handler: Handler, serve: Serve) -> None:
    _, port = serve(threads=1, timeout=0.2)
    handler.go.clear()
    handle = handler.handle
    handler.handle = lambda method, path, *rest: (  # type: ignore[method-assign]
        handle(method, path, *rest) if "slow" in path else Reply(200, b"{}")
    )
    with connect(port) as slow, connect(port) as client:
        slow.sendall(GET.replace(b"/m ", b"/slow "))
        assert slow.recv(65536).startswith(b"HTTP/1.1 504")
        client.sendall(GET)
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
