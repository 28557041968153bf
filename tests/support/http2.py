# SPDX-License-Identifier: Apache-2.0
"""A bare HTTP/2 server that answers what a test wants: frames instead of a library that gets everything right."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from typing import IO

from typing_extensions import Self

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK = END_STREAM = 1
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(fields: dict[str, str]) -> bytes:
    """Return fields as HPACK, each a literal without index (RFC 7541, 6.2.2); names and values below 127 bytes."""
    return b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


def response(stream: int, fields: dict[str, str], body: bytes = b"", trailers: dict[str, str] | None = None) -> bytes:
    """Return the frames of a whole response."""
    last = END_STREAM if not body and trailers is None else 0
    sent = frame(HEADERS, END_HEADERS | last, stream, headers(fields))
    if body:
        sent += frame(DATA, END_STREAM if trailers is None else 0, stream, body)
    if trailers is not None:
        sent += frame(HEADERS, END_HEADERS | END_STREAM, stream, headers(trailers))
    return sent


class Http2Server:
    """Takes connections and acknowledges settings; ``answer`` returns the frames for a request that is complete.

    Attributes:
        address: its ``HOST:PORT``.
        pinged: set once a ping has arrived.
        requests: how many requests were complete.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.pinged = threading.Event()
        self.requests = 0
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def answer(self, stream: int) -> bytes:
        """Return the frames that answer a request; nothing by default."""
        del stream
        return b""

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()  # it takes no more connections
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(taken)
            thread = threading.Thread(target=self._serve, args=(taken,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), connection.makefile("rb") as stream:
            stream.read(len(_PREFACE))
            connection.sendall(frame(SETTINGS, 0, 0))
            for kind, flags, number, payload in _frames(stream):
                if kind == SETTINGS and not flags & ACK:
                    connection.sendall(frame(SETTINGS, ACK, 0))
                elif kind == PING and not flags & ACK:
                    self.pinged.set()
                    connection.sendall(frame(PING, ACK, 0, payload))
                elif kind in (DATA, HEADERS) and flags & END_STREAM:
                    self.requests += 1
                    connection.sendall(self.answer(number))


def _frames(stream: IO[bytes]) -> Iterator[tuple[int, int, int, bytes]]:
    while len(head := stream.read(9)) == 9:
        length = int.from_bytes(head[:3], "big")
        kind, flags, number = struct.unpack(">BBI", head[3:])
        yield kind, flags, number & 0x7FFFFFFF, stream.read(length)
