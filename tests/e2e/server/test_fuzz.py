# SPDX-License-Identifier: Apache-2.0
"""Generated and mutated requests: the server lives, stays itself, and never blames itself for a client's mistake."""

from __future__ import annotations

import base64
import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.live import until
from tfs_deploy.client import Client

from .conftest import public_config, serving
from .hostile_requests import calls, raw_http1, raw_http2, rest_requests

if TYPE_CHECKING:
    from .conftest import Server

SHORT = 1000
LONG = 50_000
BLOCK = 1000
#: what no reply to a request may say: the fault would be the server's
FAULTS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "UNAVAILABLE"}


class Wire:
    """A kept-alive connection that is opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; its status and body."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=300)
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self._socket.recv(1 << 16)
            assert piece, f"closed without a reply to {request[:300]!r}"
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
        length = 0 if request.startswith(b"HEAD") else int(fields.get(b"content-length", b"0"))
        while len(body) < length:
            body += self._socket.recv(1 << 16)
        if fields.get(b"connection") == b"close":
            self.close()
        return int(lines[0].split()[1]), body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def fuzz_rest(server: Server, seed: int, count: int) -> None:
    wire = Wire(server.rest_port)
    requests = rest_requests(seed)
    for number in range(count):
        request = next(requests)
        status, body = wire.ask(request)
        assert status < 500 or (status == 501 and b"\r\n" not in request.split(b" ")[0]), (status, body, request)
        if number % BLOCK == BLOCK - 1:
            server.assert_well()
    wire.close()


def fuzz_grpc(server: Server, seed: int, count: int) -> None:
    generated = calls(seed)
    with grpc.insecure_channel(server.grpc_address, [("grpc.max_receive_message_length", -1)]) as channel:
        methods: dict[str, Any] = {}
        health = channel.unary_unary("/grpc.health.v1.Health/Check")
        for number in range(count):
            path, data = next(generated)
            call = methods.setdefault(path, channel.unary_unary(path))
            reply = call.future(data, timeout=300)
            what = reply.code().name, path, base64.b64encode(data).decode(), reply.details()
            assert what[0] not in FAULTS, what
            if number % BLOCK == BLOCK - 1:
                assert health(b"", timeout=300) == b"\x08\x01"
                server.assert_well()


def fuzz_connections(port: int, connections: Iterator[bytes], going: Iterable[int]) -> None:
    """Send each, close one side or both, and take what comes for a moment."""
    rng = random.Random(port)
    for _ in going:
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection, contextlib.suppress(OSError):
            connection.sendall(next(connections))
            if rng.random() < 0.5:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(rng.choice((0.001, 0.02, 0.1)))
            while connection.recv(1 << 16):
                pass


class Turns:
    """Lets several loops go on until a number of turns, or a time, has passed, or one of them has failed."""

    def __init__(self, turns: int | None, seconds: float | None = None) -> None:
        self._turns = turns
        self._end = None if seconds is None else time.monotonic() + seconds
        self.stopped = False

    def __iter__(self) -> Iterator[int]:
        number = 0
        while not self.stopped and number != self._turns and (self._end is None or time.monotonic() < self._end):
            yield number
            number += 1


def healthy(server: Server, stop: threading.Event, seconds: list[float]) -> None:
    """A client that does nothing wrong is served throughout, over gRPC and REST."""
    with Client(server.grpc_address, timeout=60) as client:
        while not stop.wait(0.02):
            begun = time.monotonic()
            assert client.predict("half_plus_two", {"x": [[4.0]]})["y"] == 4.0
            seconds.append(time.monotonic() - begun)
            server.assert_well()


def attack(server: Server, seed: int, turns: Turns) -> list[float]:
    """Send everything at once, and return how long a healthy client beside it waited for each of its replies."""
    stop, waited = threading.Event(), list[float]()
    with ThreadPoolExecutor() as threads:
        attackers = [
            threads.submit(fuzz_connections, server.rest_port, raw_http1(seed), turns),
            threads.submit(fuzz_connections, server.grpc_port, raw_http2(seed), turns),
            threads.submit(lambda: [fuzz_rest(server, seed + number, 10) for number in turns]),
            threads.submit(lambda: [fuzz_grpc(server, seed + number, 10) for number in turns]),
        ]
        beside = threads.submit(healthy, server, stop, waited)
        wait(attackers, return_when=FIRST_EXCEPTION)
        turns.stopped = True
        stop.set()
    for each in (*attackers, beside):
        each.result()
    return waited


FORMS = [
    pytest.param(60, None, id="short"),
    pytest.param(None, 60, id="a minute", marks=[pytest.mark.full, pytest.mark.timeout(300)]),
    pytest.param(None, 600, id="ten minutes", marks=[pytest.mark.full, pytest.mark.timeout(1200)]),
]
#: seconds in which a server ends after SIGTERM: the time to drain, one more, and what a busy machine needs
DRAIN, SLACK = 1, 4


@pytest.mark.parametrize(("turns", "seconds"), FORMS)
def test_everything_at_once(turns: int | None, seconds: float | None, models: Path, tmp_path: Path) -> None:
    """Wire, JSON, HTTP/1.1 and HTTP/2: the server lives, does not grow, serves others, and ends when it is told to."""
    (tmp_path / "models.config").write_text(public_config(models))
    flags = f"--model_config_file={tmp_path}/models.config", "--enable_grpc_healthcheck_service=true"
    with serving(tmp_path, *flags, f"--drain_seconds={DRAIN}") as server:
        attack(server, 1, Turns(10))
        before = server.status_line("VmRSS")
        waited = sorted(attack(server, 2 if turns else random.randrange(2**32), Turns(turns, seconds)))
        half, late = (waited[int(len(waited) * share)] for share in (0.5, 0.99))
        print(f"p50 {half:.4f} s, p99 {late:.4f} s, {len(waited)} calls")
        print(f"RSS {before:.0f} -> {server.status_line('VmRSS'):.0f} MB")
        until(lambda: server.status_line("VmRSS") - before <= 64, 30)
        server.assert_well()
        with ThreadPoolExecutor() as threads:
            last = threads.submit(fuzz_connections, server.rest_port, raw_http1(3), Turns(None, 20))
            begun = time.monotonic()
            server.process.terminate()
            assert server.process.wait(100) == 0
            assert time.monotonic() - begun < DRAIN + 1 + SLACK
            assert isinstance(last.exception(), ConnectionRefusedError)
        log = server.log.read_text(errors="replace")
        assert "Traceback" not in log
        assert "ASGI" not in log


@pytest.mark.parametrize("seed", [1])
def test_rest_requests(seed: int, server: Server) -> None:
    fuzz_rest(server, seed, SHORT)


@pytest.mark.parametrize("seed", [2])
def test_grpc_messages(seed: int, server: Server) -> None:
    fuzz_grpc(server, seed, SHORT)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(100, 110))
def test_many_rest_requests(seed: int, server: Server) -> None:
    fuzz_rest(server, seed, LONG // 10)


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(200, 210))
def test_many_grpc_messages(seed: int, server: Server) -> None:
    fuzz_grpc(server, seed, LONG // 10)
