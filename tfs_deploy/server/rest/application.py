# SPDX-License-Identifier: Apache-2.0
"""The REST API as an ASGI application, without a framework."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tfs_deploy.errors import DeadlineExceededError, ResourceExhaustedError, UnavailableError
from tfs_deploy.server.rest.handler import Reply, RestHandler, error_reply, html_page
from tfs_deploy.server.rest.limits import MAX_BODIES, MAX_BODY, MAX_INFLATED
from tfs_deploy.server.workers import WorkerPool, current_job

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
_CLOSE: Final = {"Connection": "close"}
_GZIP: Final = 31


class RestApplication:
    """The ASGI application: reads the body, has a worker thread answer, writes the reply.

    A request whose client has gone, or was answered HTTP 504, is abandoned.

    Args:
        handler: answers the requests.
        workers: the threads in which it does.
        timeout: seconds after which a request is given up, counted from its last byte.
        cors: send CORS headers.
    """

    def __init__(self, handler: RestHandler, workers: WorkerPool, *, timeout: float, cors: bool) -> None:
        self._handler = handler
        self._workers = workers
        self._timeout = timeout
        self._cors = cors
        #: bytes of all bodies in flight
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        body = _Body()
        try:
            refusal = await self._read_body(receive, scope, body)
            reply = refusal or await self._reply(scope, body)
        except _GoneError:
            return
        except asyncio.CancelledError:  # by uvicorn, which would answer HTTP 500, once the time to drain is over
            reply = _stopping()
        finally:
            self._held -= body.size
        await _write(reply, send)

    async def _read_body(self, receive: Receive, scope: Scope, body: _Body) -> Reply | None:
        """Read the whole body; returns the reply to one that is too large.

        Raises:
            _GoneError: the client has gone.
        """
        announced = int(dict(scope["headers"]).get(b"content-length", 0))
        while True:
            if max(announced, body.size) > MAX_BODY:
                return Reply(413, b"", "text/html", _CLOSE)
            if max(announced - body.size, 0) + self._held > MAX_BODIES:
                text = "the bodies of the requests in flight are too large for one more"
                full = error_reply(ResourceExhaustedError(text))
                return Reply(full.status, full.body, full.content_type, _CLOSE)
            message = await receive()
            if message["type"] != "http.request":
                raise _GoneError
            part = message.get("body", b"")
            body.parts.append(part)
            body.size += len(part)
            self._held += len(part)
            if not message.get("more_body", False):
                return None

    async def _reply(self, scope: Scope, body: _Body) -> Reply:
        method: str = scope["method"]
        headers = dict(scope["headers"])
        if method not in _KNOWN_METHODS:
            return html_page(501)
        if method == "OPTIONS":
            return Reply(200 if b"origin" in headers else 400, b"", _OPTIONS_TYPE, _CORS if self._cors else {})
        query: bytes = scope["query_string"]
        path = scope["raw_path"].decode("utf-8", "surrogateescape")
        if query:
            path += "?" + query.decode("utf-8", "surrogateescape")
        packed = b"gzip" in headers.get(b"content-encoding", b"")
        reply = await self._work(method, path, body, packed=packed, connection=scope.get("connection"))
        if self._cors and reply.content_type != "text/html":
            return Reply(reply.status, reply.body, reply.content_type, {**reply.headers, **_CORS})
        return reply

    async def _work(self, method: str, path: str, body: _Body, *, packed: bool, connection: Any) -> Reply:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._timeout
        answered: asyncio.Future[Reply | None] = loop.create_future()

        def settle(reply: Reply | None) -> None:
            if not answered.done():
                answered.set_result(reply)

        def answer() -> None:
            reply = None
            try:
                content = body.take()
                content = _inflate(content) if packed else content
                # what has waited for its turn has less time left
                left = due - loop.time()
                reply = self._handler.handle(method, path, content, left) if left > 0 else _out_of_time()
            finally:
                if (job := current_job()) is not None:
                    job.finish()
                with contextlib.suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(settle, reply)

        try:
            job = self._workers.submit(answer)
        except RuntimeError:  # the workers have been shut down
            return _stopping()
        if connection is not None:
            connection.on_loss = lambda: settle(None)
        try:
            # the worker's own timeout ends the run; a graph that ignores it must not delay the reply
            done, _ = await asyncio.wait({answered}, timeout=self._timeout + 1.0)
        finally:
            job.abandon()
            if connection is not None:
                connection.on_loss = None
        if not done:
            return _out_of_time()
        if (reply := answered.result()) is None:
            raise _GoneError
        return reply


class _Body:
    """A body in parts, which the worker that answers takes."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def take(self) -> bytes:
        """Return the bytes and forget them."""
        parts, self.parts = self.parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _GoneError(Exception):
    """The client has closed its connection."""


def _out_of_time() -> Reply:
    return error_reply(DeadlineExceededError("Timed out waiting for notification"))


def _stopping() -> Reply:
    return error_reply(UnavailableError("the server is stopping"))


def _inflate(body: bytes) -> bytes:
    """Return an unpacked body; one that is not gzip, damaged or too large counts as empty, as in the server."""
    stream = zlib.decompressobj(_GZIP)
    try:
        content = stream.decompress(body, MAX_INFLATED)
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
