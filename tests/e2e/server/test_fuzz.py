# SPDX-License-Identifier: Apache-2.0
"""Generated and mutated requests: the server lives, stays itself, and never blames itself for a client's mistake."""

from __future__ import annotations

import base64
import contextlib
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from support.lateness import ENDING_HANDS, Wakes
from support.live import until
from support.steady_client import steady_client

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
    requests = rest_requests(seed)
    with contextlib.closing(Wire(server.rest_port)) as wire:
        for number in range(count):
            request = next(requests)
            status, body = wire.ask(request)
            assert status < 500 or (status == 501 and b"\r\n" not in request.split(b" ")[0]), (status, body, request)
            if number % BLOCK == BLOCK - 1:
                server.assert_well()


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


def fuzz_connections(port: int, connections: Iterator[bytes], rng: random.Random, going: Iterable[int]) -> None:
    """Send each, close one side or both, and take what comes for a moment."""
    for _ in going:
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection, contextlib.suppress(OSError):
            connection.sendall(next(connections))
            if rng.random() < 0.5:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(rng.choice((0.001, 0.02, 0.1)))
            while connection.recv(1 << 16):
                pass


@dataclass(frozen=True)
class Pace:
    """Rounds of an attack, each with a quiet time behind it, in which others are served alone.

    Attributes:
        rounds: how many.
        seconds: of a round.
        quiet: seconds of the quiet time behind each.
        turns: of each attacker in a round, spread evenly; ``None``: as many as there is time for.
    """

    rounds: int
    seconds: float
    quiet: float
    turns: int | None = None


class Attack:
    """Four attackers that send everything at once, each its own requests in their order."""

    def __init__(self, server: Server, seed: int) -> None:
        self._stopped = threading.Event()
        self._server = server
        self._seed = seed
        self._connections = [
            (server.rest_port, raw_http1(seed), random.Random(seed)),
            (server.grpc_port, raw_http2(seed), random.Random(seed + 1)),
        ]
        self._sent = itertools.count(seed), itertools.count(seed)

    def stop(self) -> None:
        """Let each attacker end after the turn that it is at."""
        self._stopped.set()

    def go_on(self, seconds: float, turns: int | None) -> None:
        """Attack for so long, at an even pace if there is a number of turns; raises what went wrong."""
        with ThreadPoolExecutor() as threads:
            attackers = [
                *(threads.submit(fuzz_connections, *each, self._turns(seconds, turns)) for each in self._connections),
                threads.submit(self._ask, fuzz_rest, self._sent[0], self._turns(seconds, turns)),
                threads.submit(self._ask, fuzz_grpc, self._sent[1], self._turns(seconds, turns)),
            ]
            wait(attackers, return_when=FIRST_EXCEPTION)
            if any(each.done() and each.exception() for each in attackers):
                self.stop()
        for each in attackers:
            each.result()

    def _ask(self, fuzz: Callable[[Server, int, int], None], seeds: Iterator[int], going: Iterator[int]) -> None:
        for _ in going:
            fuzz(self._server, next(seeds), 10)

    def _turns(self, seconds: float, turns: int | None) -> Iterator[int]:
        begun = time.monotonic()
        for number in itertools.count() if turns is None else range(turns):
            due = begun + (0 if turns is None else number * seconds / turns)
            if self._stopped.wait(max(0.0, due - time.monotonic())):
                return
            if turns is None and time.monotonic() > begun + seconds:
                return
            yield number


FORMS = [
    pytest.param(Pace(12, 5.0, 1.5, turns=20), id="a minute"),
    pytest.param(Pace(40, 15.0, 3.0), id="ten minutes", marks=[pytest.mark.full, pytest.mark.timeout(1200)]),
]
DRAIN = 1
#: seconds that the scheduler may take from a healthy client, as other tests run beside this one
NOISE = 0.02


@pytest.mark.parametrize("pace", FORMS)
def test_everything_at_once(pace: Pace, models: Path, tmp_path: Path) -> None:
    """Wire, JSON, HTTP/1.1 and HTTP/2: the server lives, does not grow, serves others, and ends when it is told to."""
    (tmp_path / "models.config").write_text(public_config(models))
    flags = f"--model_config_file={tmp_path}/models.config", "--enable_grpc_healthcheck_service=true"
    seed = 2 if pace.turns else random.randrange(2**32)
    print(f"seed {seed}")
    with serving(tmp_path, *flags, f"--drain_seconds={DRAIN}") as server:
        attack = Attack(server, seed)
        attack.go_on(2.0, 10)
        before = server.status_line("VmRSS")
        alone, beside = healthy_waits(server, attack, pace, tmp_path)
        print(f"p99 alone {alone:.4f} s, beside the attack {beside:.4f} s, {server.processor_seconds():.1f} CPU s")
        print(f"RSS {before:.0f} -> {server.status_line('VmRSS'):.0f} MB")
        assert beside <= 2 * alone + NOISE
        until(lambda: server.status_line("VmRSS") - before <= 64, 30)
        server.assert_well()
        assert_ends_within_an_attack(server, attack, pace, random.Random(seed))


def healthy_waits(server: Server, attack: Attack, pace: Pace, folder: Path) -> tuple[float, float]:
    """Attack in rounds, and return the p99 of a healthy client between them and beside them, in seconds."""
    rounds = []
    with steady_client(folder, server.grpc_address, server.rest_url) as client:
        until(lambda: len(client.waits()) > 10)
        for _ in range(pace.rounds):
            begun = time.monotonic()
            attack.go_on(pace.seconds, pace.turns)
            rounds.append((begun, time.monotonic()))
            until(lambda: client.waits()[-1][0] > rounds[-1][1] + pace.quiet)
        waits = client.waits()
    alone, beside = [], []
    for when, seconds in waits:
        attacked = any(begun - seconds < when < end for begun, end in rounds)
        (beside if attacked else alone).append(seconds)
    alone, beside = sorted(alone), sorted(beside)
    print(f"{len(alone)} calls alone, {len(beside)} beside; the longest {alone[-1]:.4f} and {beside[-1]:.4f} s")
    return alone[int(len(alone) * 0.99)], beside[int(len(beside) * 0.99)]


def assert_ends_within_an_attack(server: Server, attack: Attack, pace: Pace, rng: random.Random) -> None:
    """SIGTERM at any moment of an attack ends the server within the time to drain and a second more."""
    with ThreadPoolExecutor() as threads, Wakes() as wakes:
        last = threads.submit(attack.go_on, 30.0, None if pace.turns is None else 6 * pace.turns)
        threading.Event().wait(rng.uniform(0.0, 3.0))
        begun = time.monotonic()
        server.process.terminate()
        assert server.process.wait(100) == 0
        took = time.monotonic() - begun
        attack.stop()
        # the attackers met a server that has gone
        assert isinstance(last.exception(), (AssertionError, OSError, grpc.RpcError)) or last.exception() is None
    print(f"ended {took:.2f} s after SIGTERM, this machine is up to {wakes.worst:.2f} s late")
    assert took < DRAIN + 1 + ENDING_HANDS * wakes.worst
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
