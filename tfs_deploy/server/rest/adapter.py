"""HTTP: an ASGI application without a framework, carried by uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import DeadlineExceededError, EnvironmentFault
from tfs_deploy.extras import import_extra
from tfs_deploy.server.rest.handler import Reply, RestHandler, error_reply, page
from tfs_deploy.server.rest.http_protocol import http_protocol

if TYPE_CHECKING:
    import socket

_log = logging.getLogger(__name__)

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
#: a protobuf message, which the server makes of it, is not larger
_MAX_BODY: Final = 2**31 - 1
#: util/net_http/compression/gzip_zlib.h
_MAX_INFLATED: Final = 100 * 1024 * 1024


class RestApplication:
    """The ASGI application: reads the body, lets a worker answer, writes the reply."""

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
        if body is not None:
            await _write(await self._reply(scope, headers, body), send)

    async def _reply(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> Reply:
        method: str = scope["method"]
        query: bytes = scope["query_string"]
        path = scope["raw_path"].decode("utf-8", "surrogateescape")
        if query:
            path += "?" + query.decode("utf-8", "surrogateescape")
        if method not in _KNOWN_METHODS:
            return page(501)
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

        work = loop.run_in_executor(self._workers, answer)
        # shielded: the worker's own timeout ends it; a graph that does not heed it must not hold up the reply
        done, _ = await asyncio.wait({work}, timeout=self._timeout + 1.0)
        if not done:
            return error_reply(DeadlineExceededError("Timed out waiting for notification"))
        return work.result()


class _BodyTooLargeError(Exception):
    """A body goes on beyond the limit."""


async def _read_body(receive: Receive) -> bytes | None:
    """Read the whole body, ``None`` if the client went away."""
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
    """Undo gzip; what is no gzip, or damaged, or too large, counts as empty, as in the server."""
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


class RestServer:
    """Runs the application on a socket that is bound already.

    Args:
        handler: answers.
        listener: bound; taken over.
        threads: requests worked on at a time.
        timeout: seconds until a request is given up.
        cors: send CORS headers.
    """

    def __init__(
        self, handler: RestHandler, listener: socket.socket, *, threads: int, timeout: float, cors: bool
    ) -> None:
        uvicorn = import_extra("uvicorn", "server")
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="rest")
        application = RestApplication(handler, self._workers, timeout=timeout, cors=cors)
        config = uvicorn.Config(
            application,
            http=http_protocol(),
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=2048,
            timeout_keep_alive=600,
            h11_max_incomplete_event_size=None,
        )
        self._server: Any = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)
        self._failed = False

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        except (OSError, SystemExit):
            self._failed = True

    def start(self) -> None:
        """Begin to answer; returns once the port is open."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.005)
            if not self._thread.is_alive():
                raise EnvironmentFault("the REST server did not start", hint="choose another --rest_api_port")

    def stop(self, grace: float) -> None:
        """Close the port, let requests in flight end within ``grace`` seconds."""
        self._server.config.timeout_graceful_shutdown = grace
        self._server.should_exit = True
        self._thread.join(grace + 1.0)
        self._workers.shutdown(wait=False, cancel_futures=True)
