"""The REST API as an ASGI application, without a framework."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tfs_deploy.errors import DeadlineExceededError, UnavailableError
from tfs_deploy.server.rest.handler import Reply, RestHandler, error_reply, html_page

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_KNOWN_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_OPTIONS_TYPE: Final = "text/html; charset=ISO-8859-1"
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_GZIP: Final = 31
#: the largest protobuf message: the server makes one of a body
_MAX_BODY: Final = 2**31 - 1
#: util/net_http/compression/gzip_zlib.h
_MAX_INFLATED: Final = 100 * 1024 * 1024


class RestApplication:
    """The ASGI application: reads the body, has a worker thread answer, writes the reply."""

    def __init__(self, handler: RestHandler, workers: ThreadPoolExecutor, *, timeout: float, cors: bool) -> None:
        self._handler = handler
        self._workers = workers
        self._timeout = timeout
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        try:
            body = await _read_body(receive)
        except _BodyTooLargeError:
            await _write(Reply(413, b"", "text/html", {"Connection": "close"}), send)
            return
        if body is None:
            return
        try:
            reply = await self._reply(scope, headers, body)
        except asyncio.CancelledError:  # by uvicorn, which would answer HTTP 500, once the time to drain is over
            reply = _stopping()
        await _write(reply, send)

    async def _reply(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
        method: str = scope["method"]
        query: bytes = scope["query_string"]
        path = scope["raw_path"].decode("utf-8", "surrogateescape")
        if query:
            path += "?" + query.decode("utf-8", "surrogateescape")
        if method not in _KNOWN_METHODS:
            return html_page(501)
        if method == "OPTIONS":
            return Reply(200 if b"origin" in headers else 400, b"", _OPTIONS_TYPE, _CORS if self._cors else {})
        packed = b"gzip" in headers.get(b"content-encoding", b"")
        reply = await self._work(method, path, body, packed=packed)
        if self._cors and reply.content_type != "text/html":
            return Reply(reply.status, reply.body, reply.content_type, {**reply.headers, **_CORS})
        return reply

    async def _work(self, method: str, path: str, body: bytes, *, packed: bool) -> Reply:
        loop = asyncio.get_running_loop()

        def answer() -> Reply:
            return self._handler.handle(method, path, _inflate(body) if packed else body, self._timeout)

        try:
            work = loop.run_in_executor(self._workers, answer)
        except RuntimeError:  # the workers have been shut down
            return _stopping()
        # the worker's own timeout ends the run; a graph that ignores it must not delay the reply
        done, _ = await asyncio.wait({work}, timeout=self._timeout + 1.0)
        if not done:
            return error_reply(DeadlineExceededError("Timed out waiting for notification"))
        return work.result()


def _stopping() -> Reply:
    return error_reply(UnavailableError("the server is stopping"))


class _BodyTooLargeError(Exception):
    """A body is larger than the limit."""


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, ``None`` if the client has gone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _MAX_BODY:
            raise _BodyTooLargeError
        if not message.get("more_body", False):
            break
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate(body: bytes) -> bytes:
    """Return an unpacked body; one that is not gzip, damaged or too large counts as empty, as in the server."""
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, _MAX_INFLATED)
    except zlib.error:
        return b""
    return content if stream.eof and not stream.unused_data else b""


async def _write(reply: Reply, send: Send) -> None:
    headers = [
        (b"content-type", reply.content_type.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        *((name.encode(), value.encode()) for name, value in reply.headers.items()),
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
