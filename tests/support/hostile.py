# SPDX-License-Identifier: Apache-2.0
"""A grammar of hostile bytes: what a peer may send that is almost JSON, protobuf, HTTP/1.1 or HTTP/2; and a server."""

from __future__ import annotations

import contextlib
import copy
import gzip
import random
import socketserver
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from support.http2 import ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RESET, SETTINGS, frame, headers

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PRIORITY, PUSH_PROMISE, WINDOW_UPDATE, CONTINUATION = 2, 5, 8, 9

VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        1.5,
        2**31,
        2**63,
        2**64,
        -(2**63),
        10**40,
        1e308,
        -1e-320,
        "",
        "text",
        "ü€",
        "\x00",
    ),
    *(
        [],
        [[]],
        [[1], [2, 3]],
        {},
        {"b64": "aGk="},
        {"b64": "!"},
        {"b64": 1},
        {"x": [1]},
        [None],
        ["a", 1],
        [[[[[1]]]]],
    ),
]
TOKENS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"{", b"}", b"[", b"]", b",", b'"', b"\\ud800", b"\xff", b"\x00"]


def mutate_json(rng: random.Random, value: Any) -> Any:
    """Change one place of a document."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        changed = dict(value)
        key = rng.choice(list(changed))
        act = rng.random()
        if act < 0.1:
            changed[rng.choice(["instances", "inputs", "signature_name", "examples", "context", "x", ""])] = (
                changed.pop(key)
            )
        else:
            changed[key] = mutate_json(rng, changed[key])
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        changed_list = list(value)
        index = rng.randrange(len(changed_list))
        act = rng.random()
        if act < 0.1:
            del changed_list[index]
        elif act < 0.2:
            changed_list.append(copy.deepcopy(changed_list[index]))
        else:
            changed_list[index] = mutate_json(rng, changed_list[index])
        return changed_list
    return rng.choice(VALUES)


def mutate_bytes(rng: random.Random, data: bytes, tokens: list[bytes]) -> bytes:
    """Flip, cut, repeat or insert."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        act = rng.randrange(6)
        if act == 0 and out:
            out[at % len(out)] ^= 1 << rng.randrange(8)
        elif act == 1 and out:
            out[at % len(out)] = rng.randrange(256)
        elif act == 2:
            del out[at : at + rng.randint(1, 8)]
        elif act == 3:
            out[at:at] = rng.choice(tokens)
        elif act == 4:
            out[at:at] = out[at : at + rng.randint(1, 16)]
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


def coded(rng: random.Random, body: bytes) -> tuple[bytes, bytes]:
    """Return the fields that say how long a body is and how it is packed, and the body; they may lie."""
    fields = b""
    if rng.random() < 0.25:
        body = rng.choice((gzip.compress, zlib.compress, lambda data: gzip.compress(gzip.compress(data))))(body)
        body = mutate_bytes(rng, body, TOKENS) if rng.random() < 0.4 else body
        fields += (
            b"Content-Encoding: " + rng.choice((b"gzip", b"gzip", b"deflate", b"br", b"gzip, gzip", b"")) + b"\r\n"
        )
    act = rng.random()
    if act < 0.3:
        fields += b"Transfer-Encoding: " + rng.choice((b"chunked", b"chunked", b"gzip, chunked", b"identity")) + b"\r\n"
        step = rng.choice((1, 7, 50, 4096))
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        body = b"".join(b"%x%b\r\n%b\r\n" % (len(piece), rng.choice((b"", b";a=b")), piece) for piece in pieces)
        body += rng.choice((b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"-1\r\n", b"ffffffffffffffff\r\n", b""))
        body = mutate_bytes(rng, body, [b"\r\n", b"\n", b"0\r\n", b"zz", b"7fffffff"]) if rng.random() < 0.3 else body
    if act > 0.25:
        size = len(body) if rng.random() < 0.7 else rng.choice((0, 1, len(body) + 1, -1, 2**31, 2**63, 10**30))
        fields += b"Content-Length: %d\r\n" % size
    return fields, body


def noise(rng: random.Random) -> bytes:
    """Return fields that may be anything."""
    found = b""
    for _ in range(rng.choice((0, 0, 0, 1, 2, 5, 300))):
        found += (
            rng.choice((b"X", b"Connection", b"Expect", b"Upgrade", b"Host", b"Accept-Encoding", b"\xff", b"")) + b": "
        )
        found += (
            rng.choice((b"close", b"keep-alive", b"100-continue", b"h2c", b"", b"a" * 300, b"\x00", b"\xff\xfe"))
            + b"\r\n"
        )
    return found


def http1(rng: random.Random, first: bytes, body: bytes) -> bytes:
    """Return a message of HTTP/1.1 with this first line, of which something may be wrong."""
    fields, body = coded(rng, body)
    message = first + b"\r\n" + fields + noise(rng) + b"\r\n" + body
    if rng.random() < 0.3:
        message = mutate_bytes(rng, message, [b"\r\n", b"\n", b"\r", b":", b" ", b"\x00", b"HTTP/1.1", b"\x80"])
    return message


def grpc_message(rng: random.Random, message: bytes) -> bytes:
    """Return a message of gRPC with its prefix; its length and whether it is packed may be lies."""
    packed = rng.random() < 0.2
    data = gzip.compress(message) if packed and rng.random() < 0.7 else message
    size = len(data) if rng.random() < 0.8 else rng.choice((0, 1, len(data) + 1, 2**20, 2**31, 2**32 - 1))
    return bytes([packed if rng.random() < 0.95 else rng.randrange(256)]) + size.to_bytes(4, "big") + data


def _stray(rng: random.Random, stream: int) -> bytes:
    """Return a frame that has no business here."""
    which = rng.choice((stream, stream, 0, stream + 1, stream + 2, 2**31 - 1))
    settings = b"".join(
        rng.randrange(9).to_bytes(2, "big") + rng.choice((0, 1, 2**14, 2**24, 2**31, 2**32 - 1)).to_bytes(4, "big")
        for _ in range(rng.choice((0, 1, 3, 50)))
    )
    return rng.choice(
        (
            frame(SETTINGS, rng.choice((0, 0, ACK)), 0, settings),
            frame(PING, rng.choice((0, ACK)), 0, rng.randbytes(rng.choice((8, 8, 7)))) * rng.choice((1, 100)),
            frame(WINDOW_UPDATE, 0, which, rng.choice((0, 1, 2**31 - 1, 2**31)).to_bytes(4, "big"))
            * rng.choice((1, 3)),
            frame(RESET, 0, which, rng.randrange(20).to_bytes(4, "big")),
            frame(GOAWAY, 0, 0, which.to_bytes(4, "big") + rng.randrange(20).to_bytes(4, "big") + b"bye"),
            frame(PRIORITY, 0, which, which.to_bytes(4, "big") + b"\x10"),
            frame(PUSH_PROMISE, END_HEADERS, which, (stream + 1).to_bytes(4, "big") + headers({":path": "/"})),
            frame(CONTINUATION, rng.choice((0, END_HEADERS)), which, headers({"x": "y"})) * rng.choice((1, 50)),
            frame(DATA, rng.randrange(256), which, rng.randbytes(rng.choice((0, 1, 100, 20_000)))),
            frame(HEADERS, rng.randrange(256), which, rng.randbytes(rng.choice((0, 1, 30, 300)))),
            frame(rng.randrange(256), rng.randrange(256), which, rng.randbytes(rng.choice((0, 5, 100)))),
        )
    )


def http2(
    rng: random.Random, stream: int, fields: dict[str, str], body: bytes, trailers: dict[str, str] | None
) -> bytes:
    """Return the frames of a message of HTTP/2, of which something may be wrong."""
    block = headers(fields)
    if rng.random() < 0.2:
        block = mutate_bytes(rng, block, [b"\x80", b"\xff\xff\xff\xff\x0f", b"\x3f\xe1\xff\x03", b"\x00\x00\x00"])
    if rng.random() < 0.1:
        block += headers({f"x-{number}": "y" * 100 for number in range(rng.choice((5, 200)))})
    frames = [frame(HEADERS, END_HEADERS, stream, block[:16384])]
    step = rng.choice((1 << 14, 1 << 14, 5, 1)) if len(body) < 1000 else 1 << 14
    frames += [frame(DATA, 0, stream, body[at : at + step]) for at in range(0, len(body), step)]
    if trailers is None:
        frames.append(frame(DATA, END_STREAM, stream))
    else:
        frames.append(frame(HEADERS, END_HEADERS | END_STREAM, stream, headers(trailers)))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        frames.insert(rng.randrange(len(frames) + 1), _stray(rng, stream))
    if rng.random() < 0.1:
        del frames[rng.randrange(len(frames))]
    sent = b"".join(frames)
    return mutate_bytes(rng, sent, [b"\x00", b"\xff", b"\x00\x40\x00"]) if rng.random() < 0.2 else sent


@contextlib.contextmanager
def one_reply_server(answer: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """Answer each connection with what ``answer`` yields, as far as the client takes it; yield the address."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.recv(65536)
                for part in answer():
                    self.request.sendall(part)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
