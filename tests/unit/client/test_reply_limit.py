# SPDX-License-Identifier: Apache-2.0
"""A server that is not ours cannot make a client hold more than ``max_reply`` bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from support.hostile import one_reply_server
from tfs_deploy.client import AsyncClient, AsyncRestClient, Client, RestClient
from tfs_deploy.client.rest.reply_bytes import ReplyBytes
from tfs_deploy.errors import DataLossError, ResourceExhaustedError, UsageError
from tfs_deploy.protos import methods
from tfs_deploy.server.workers import WorkerPool

MOST = 100_000
CLIENTS = {"grpc": Client, "async-grpc": AsyncClient, "rest": RestClient, "async-rest": AsyncRestClient}
BOMB = gzip.compress(bytes(50 << 20))
CHUNK = b"ffff\r\n" + b"1" * 0xFFFF + b"\r\n"


def predict(name: str, address: str, **options: Any) -> Any:
    made = CLIENTS[name](address, check=False, max_reply=MOST, timeout=60, **options)
    inputs = {"x": np.ones(1, np.float32)}
    if isinstance(made, (Client, RestClient)):
        with made:
            return made.predict("m", inputs)

    async def main() -> Any:
        async with made:
            return await made.predict("m", inputs)

    return asyncio.run(main())


@contextlib.contextmanager
def http_server(head: bytes, body: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """Answer every request with a head and as much of a body as the client takes."""

    def answer() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + b"\r\n\r\n"
        yield from body()

    with one_reply_server(answer) as address:
        yield address


def endless() -> Iterator[bytes]:
    while True:
        yield CHUNK


@pytest.mark.parametrize("name", ["rest", "async-rest"])
@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Transfer-Encoding: chunked", endless),
        (b"Connection: close", endless),
        (b"Content-Length: 99999999999", endless),
        (b"Content-Encoding: gzip\r\nContent-Length: %d" % len(BOMB), lambda: iter([BOMB])),
        (b"Content-Encoding: gzip\r\nConnection: close", lambda: (gzip.compress(b"") for _ in iter(int, 1))),
    ],
    ids=["chunked", "until it closes", "announced", "gzip", "after the end of gzip"],
)
def test_a_reply_over_rest(name: str, head: bytes, body: Callable[[], Iterator[bytes]]) -> None:
    with (
        http_server(head, body) as address,
        pytest.raises(ResourceExhaustedError, match="larger than 100000") as caught,
    ):
        predict(name, address)
    assert "max_reply" in str(caught.value)
    assert not caught.value.retriable


@pytest.mark.parametrize("name", ["rest", "async-rest"])
@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"br"])
def test_a_reply_that_is_packed_as_nobody_asked(name: str, encoding: bytes) -> None:
    head = b"Content-Length: 4\r\nContent-Encoding: " + encoding
    with http_server(head, lambda: iter([b"abcd"])) as address, pytest.raises(DataLossError, match="packed as"):
        predict(name, address)


@pytest.mark.parametrize("name", ["grpc", "async-grpc"])
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_reply_over_grpc(name: str, compression: grpc.Compression) -> None:
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: bytes(50 << 20))
    service = grpc.method_handlers_generic_handler(methods.PREDICTION_SERVICE, {"Predict": handler})
    options = [("grpc.max_send_message_length", -1)]
    server = grpc.server(WorkerPool(1, "t"), handlers=[service], compression=compression, options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ResourceExhaustedError, match="larger than max") as caught:
        predict(name, f"127.0.0.1:{port}")
    server.stop(0).wait()
    assert "max_reply" in str(caught.value)
    assert not caught.value.retriable


@pytest.mark.parametrize("most", [0, -1, 2**31, 1.5, True])
def test_what_is_not_a_limit(most: Any) -> None:
    with pytest.raises(UsageError, match="not a valid max_reply"):
        Client("127.0.0.1:1", max_reply=most)


def test_exactly_the_limit() -> None:
    assert ReplyBytes("", 4).feed(b"abcd") == b"abcd"
    assert ReplyBytes("gzip", 40).feed(gzip.compress(bytes(40))) == bytes(40)
    with pytest.raises(ResourceExhaustedError):
        ReplyBytes("gzip", 40).feed(gzip.compress(bytes(41)))
    with pytest.raises(DataLossError, match="cannot be unpacked"):
        ReplyBytes("gzip", 40).feed(b"no gzip")
