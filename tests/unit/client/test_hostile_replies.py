# SPDX-License-Identifier: Apache-2.0
"""Servers that answer anything: a client returns or raises an error of the toolkit, in time, and does not grow."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from support.hostile import TOKENS, grpc_message, http1, http2, mutate_bytes, mutate_json, one_reply_server
from support.http2 import GOAWAY, Http2Server, frame, response
from tfs_deploy import codec, protos
from tfs_deploy.client import AsyncClient, AsyncRestClient, Client, RestClient
from tfs_deploy.errors import DataLossError, TfsDeployError

from .conftest import TinyServer

#: bytes of a reply, and seconds of a call, that the clients are given
OPTIONS: dict[str, Any] = {"max_reply": 1 << 20, "timeout": 2.0, "retries": 1, "check": False, "compression": "gzip"}
CALLS: tuple[Callable[[Any], Any], ...] = (
    lambda client: client.predict("half", {"x": np.float32([[1], [2]])}),
    lambda client: client.predict("half", {"x": np.float32([[1], [2]])}),
    lambda client: client.status("half"),
    lambda client: client.metadata("half"),
    lambda client: client.classify("half", [{"x": 1.0}]),
)
DOCUMENTS: tuple[Any, ...] = (
    {"predictions": [[2.5], [3.0]]},
    {"outputs": {"y": [[1, 2]], "z": [{"b64": "aGk="}]}},
    {"error": "Servable not found for request: Latest(half)"},
    {"results": [[["a", 0.5], ["b", 0.5]]]},
    {"model_version_status": [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK"}}]},
    {"model_spec": {"name": "half", "version": "1"}, "metadata": {"signature_def": {"signature_def": {"a": {}}}}},
)
FIRST = (b"HTTP/1.1 200 OK",) * 4 + (
    *(b"HTTP/1.1 404 Not Found", b"HTTP/1.1 503 x", b"HTTP/1.0 200 OK", b"HTTP/1.1 100 Continue", b"HTTP/1.1 204 -"),
    *(b"HTTP/1.1 301 Moved\r\nLocation: /v1/x", b"HTTP/1.1 101 Switching", b"HTTP/1.1 999 x", b"HTTP/9 200", b""),
)


def http1_replies(seed: int) -> Iterator[bytes]:
    """Return what REST clients get, without end."""
    rng = random.Random(seed)
    while True:
        document = rng.choice(DOCUMENTS)
        for _ in range(rng.choice((0, 1, 1, 2, 3))):
            document = mutate_json(rng, document)
        body = json.dumps(document).encode()
        body = mutate_bytes(rng, body, TOKENS) if rng.random() < 0.3 else body
        # what the client takes for the reply may follow others
        yield b"".join(http1(rng, rng.choice(FIRST), body) for _ in range(rng.choice((1, 1, 1, 2, 30))))


def messages() -> list[bytes]:
    """Return replies as they should be."""
    tiny = TinyServer()
    arrays = {"y": np.float32([[1], [2]]), "t": np.array([b"a", b"bc"], object), "i": np.arange(5)}
    classified = protos.ClassificationResponse()
    classified.result.classifications.add().classes.add(label="a", score=0.5)
    made = [tiny.states("half"), tiny.describe(1), classified]
    return [
        codec.encode_predict_response(arrays, model="half", version=1, signature="serving_default"),
        *(message.SerializeToString() for message in made),
    ]


def http2_replies(seed: int) -> Iterator[Callable[[int], bytes]]:
    """Return what gRPC clients get on a stream, without end."""
    rng = random.Random(seed)
    good = messages()
    splices = [data[at : at + 12] for data in good for at in range(0, len(data), 12)]
    splices += [b"\xff" * 10 + b"\x01", b"\x08\xff\xff\xff\x1f", b"\x12\x00", b"\x80" * 9]
    trailers: list[dict[str, str] | None] = [{"grpc-status": "0"}] * 6
    trailers += [{"grpc-status": status, "grpc-message": "%00%ff%"} for status in ("3", "14", "-1", "99", "x", "")]
    trailers += [{}, {"grpc-status": "5", "grpc-status-details-bin": "%%%"}, None]
    while True:
        message = rng.choice(good)
        message = mutate_bytes(rng, message, splices) if rng.random() < 0.7 else message
        body = b"".join(grpc_message(rng, message) for _ in range(rng.choice((0, 1, 1, 1, 1, 2))))
        fields = {":status": rng.choice(("200",) * 6 + ("404", "503", "x", "")), "content-type": "application/grpc"}
        if rng.random() < 0.4:
            fields["grpc-encoding"] = rng.choice(("gzip", "deflate", "identity", "br"))
        last = rng.choice(trailers)
        state = rng.random()

        def answer(stream: int, *given: Any, state: float = state) -> bytes:
            return http2(random.Random(state), stream, *given)

        yield lambda stream, given=(fields, body, last), answer=answer: answer(stream, *given)


@contextlib.contextmanager
def http1_server(replies: Iterator[bytes]) -> Iterator[str]:
    lock = threading.Lock()

    def answer() -> Iterator[bytes]:
        with lock:
            reply = next(replies)
        yield reply

    with one_reply_server(answer) as address:
        yield address


class HostileHttp2(Http2Server):
    """Answers a request with the next reply, and then goes away."""

    def __init__(self, replies: Iterator[Callable[[int], bytes]]) -> None:
        super().__init__()
        self._replies = replies

    def answer(self, stream: int) -> bytes:
        return next(self._replies)(stream) + frame(GOAWAY, 0, 0, struct.pack(">II", stream, 0))


def memory() -> float:
    """Return the memory of this process in MB."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)


def call(kind: Callable[..., Any], address: str, act: Callable[[Any], Any]) -> None:
    """Make one call with a client of its own."""
    if kind in (Client, RestClient):
        with kind(address, **OPTIONS) as client:
            act(client)
        return

    async def main() -> None:
        async with kind(address, **OPTIONS) as client:
            await act(client)

    asyncio.run(main())


#: turns at an even pace, or as many as there is time for; seconds for each of four kinds of clients
FORMS = [
    pytest.param(200, 15.0, id="a minute"),
    pytest.param(None, 150.0, id="ten minutes", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
]


@pytest.mark.parametrize(("turns", "seconds"), FORMS)
@pytest.mark.parametrize("kind", [Client, AsyncClient, RestClient, AsyncRestClient], ids=lambda kind: kind.__name__)
def test_whatever_a_server_answers(kind: Callable[..., Any], turns: int | None, seconds: float) -> None:
    seed = 1 if turns else random.randrange(2**32)
    pause = threading.Event()
    with contextlib.ExitStack() as stack:
        if kind in (Client, AsyncClient):
            address = stack.enter_context(HostileHttp2(http2_replies(seed))).address
        else:
            address = stack.enter_context(http1_server(http1_replies(seed)))
        before, first, number = 0.0, time.monotonic(), 0
        while number != turns and (turns or time.monotonic() < first + seconds):
            if turns:
                pause.wait(max(0.0, first + number * seconds / turns - time.monotonic()))
            if number == 30:
                before = memory()
            begun = time.monotonic()
            with contextlib.suppress(TfsDeployError):
                call(kind, address, CALLS[number % len(CALLS)])
            assert time.monotonic() - begun < OPTIONS["timeout"] + 5, (seed, number)
            number += 1
        print(f"{number} calls, {before:.0f} -> {memory():.0f} MB")
        assert memory() - before < 64, (seed, number)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_call_that_went_well_without_a_message(kind: Callable[..., Any]) -> None:
    fields = {":status": "200", "content-type": "application/grpc"}

    class Empty(Http2Server):
        def answer(self, stream: int) -> bytes:
            return response(stream, fields, trailers={"grpc-status": "0"})

    for act in CALLS:
        with Empty() as server, pytest.raises(DataLossError, match="answered without a message"):
            call(kind, server.address, act)


@pytest.mark.parametrize("kind", [RestClient, AsyncRestClient])
def test_a_redirect_to_nowhere(kind: Callable[..., Any]) -> None:
    reply = b"HTTP/1.1 301 Moved\r\nLocation: x:v1\r\nContent-Length: 0\r\n\r\n"
    with (
        http1_server(itertools.repeat(reply)) as address,
        pytest.raises(DataLossError, match="redirects to an address that is not valid"),
    ):
        call(kind, address, CALLS[0])


#: calls a server once, which answers with a GOAWAY of a code, before, behind or instead of a reply
GOAWAYS = """
import struct, sys
import numpy as np
from support.http2 import GOAWAY, Http2Server, frame, response
from tfs_deploy.client import Client
from tfs_deploy.errors import TfsDeployError

FIELDS = {":status": "200", "content-type": "application/grpc"}

class Leaving(Http2Server):
    def answer(self, stream):
        away = frame(GOAWAY, 0, 0, struct.pack(">II", last and stream, code) + b"bye")
        reply = response(stream, FIELDS, trailers={"grpc-status": "5"})
        return {"instead": away, "before": away + reply, "behind": reply + away}[place]

for code in (*range(20), 255, 2**31, 2**32 - 1):
    for last in (False, True):
        for place in ("before", "behind", "instead"):
            print(code, last, place, flush=True)
            with Leaving() as server, Client(server.address, timeout=0.05, retries=1, check=False) as client:
                try:
                    client.predict("half", {"x": np.float32([1])})
                except TfsDeployError:
                    continue
"""


def test_no_goaway_ends_the_process_of_a_client() -> None:
    """Versions of grpcio that abort are left out by pyproject.toml; this tries the one that is installed."""
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", GOAWAYS], capture_output=True, text=True, env=here, check=False)
    assert done.returncode == 0, (grpc.__version__, done.stdout[-60:], done.stderr[-2000:])
    assert len(done.stdout.splitlines()) == 23 * 6
