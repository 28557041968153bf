# SPDX-License-Identifier: Apache-2.0
"""Every recorded REST request gets the recorded status, content type and JSON."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Remote, Server

RECORDED = Path(__file__).parent / "recorded" / "rest"
#: the build that was recorded put a mark before printed protos
DEBUG_PREFIX = re.compile(r"goo\.gle/debug\w+ *\s*")

#: what is not met, and why
EXCEPTIONS: dict[str, str] = {}


@dataclass
class HttpReply:
    status: int
    headers: dict[str, str]
    body: bytes


def body_bytes(body: Any) -> bytes | None:
    if body is None:
        return None
    return bytes.fromhex(body["hex"]) if isinstance(body, dict) else body.encode()


def send(address: tuple[str, int], request: dict[str, Any]) -> HttpReply:
    """Send a request exactly as recorded, byte for byte, on a connection of its own."""
    body = body_bytes(request["body"])
    lines = [f"{request['method']} {request['path']} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in request["headers"].items()]
    if body is not None and "Transfer-Encoding" not in request["headers"]:
        lines.append(f"Content-Length: {len(body)}")
    with socket.create_connection(address, timeout=100) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    if data.startswith(b"HTTP/1.1 100"):
        data = data.partition(b"\r\n\r\n")[2]
    head, _, rest = data.partition(b"\r\n\r\n")
    status, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return HttpReply(int(status.split()[1]), headers, rest)


def parsed(body: bytes) -> Any:
    text = body.decode("utf-8", "surrogateescape")
    try:
        document = json.loads(text, parse_constant=str)
    except ValueError:
        return text
    if isinstance(document, dict) and set(document) == {"error"}:
        return {"error": DEBUG_PREFIX.sub("", document["error"])}
    return document


def test_recorded_rest(rest_case: str, server: Server | Remote, request: pytest.FixtureRequest) -> None:
    if server.rest_port is None:
        pytest.skip("the address names no REST port")
    if rest_case in EXCEPTIONS and server.is_embedded:
        request.applymarker(pytest.mark.xfail(reason=EXCEPTIONS[rest_case], strict=True))
    case = json.loads((RECORDED / f"{rest_case}.json").read_text())
    expected = case["response"]
    reply = send((server.host, server.rest_port), case["request"])
    content = bytes.fromhex(expected["body_hex"]) if "body_hex" in expected else (expected["body"] or "").encode()
    types = [value for name, value in expected["headers"] if name == "Content-Type"]
    assert (reply.status, reply.headers.get("content-type")) == (expected["status"], types[0])
    if case["request"]["method"] != "HEAD":
        assert parsed(reply.body) == parsed(content)
