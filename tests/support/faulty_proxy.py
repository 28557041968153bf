# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy before an object store that fails some requests and cuts some bodies, the same ones each time."""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import Self


class FaultyProxy:
    """Hands requests on to a port of this machine.

    Attributes:
        fails: share of the requests that are answered with ``status`` and not handed on.
        loses: share of the requests whose answer is lost after the store has acted.
        cuts: share of the answers whose body ends halfway.
        stalls: how many more answers to GET requests for files stop halfway, with the connection open.
        status: the status of what fails.
        code: the store's error code in the answer to what fails.
        changes: replaces the bodies of answers to GET requests for paths that hold a text.
        seen: (method, path) of every request.
    """

    def __init__(self, port: int, *, seed: int = 1) -> None:  # noqa: C901 - the handler is a class in it
        self.fails = self.loses = self.cuts = 0.0
        self.stalls = 0
        self.status, self.code = 503, "ServiceUnavailable"
        self.changes: dict[str, bytes] = {}
        self.silent = threading.Event()
        self.seen: list[tuple[str, str]] = []
        self.failed = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_one(self) -> None:
                length = self.headers.get("Content-Length")
                body = self.rfile.read(int(length)) if length else b""
                fails, loses, cuts = proxy._draw(self.command, self.path)
                if proxy.silent.is_set():
                    self.close_connection = True
                    proxy._over.wait()
                    return
                if fails:
                    text = f"<Error><Code>{proxy.code}</Code><Message>secret-message</Message></Error>".encode()
                    self.answer(proxy.status, {"Content-Type": "application/xml"}, text)
                    return
                status, headers, answer = proxy._ask(port, self, body)
                for part, changed in proxy.changes.items():
                    if part in self.path and self.command == "GET":
                        answer = changed
                if loses:
                    self.close_connection = True
                    return
                stalls = "/files/" in self.path and self.command == "GET" and answer and proxy._draw_stall()
                self.answer(status, headers, answer, cut=cuts or bool(stalls))
                if stalls:
                    proxy._over.wait()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_one  # noqa: N815

            def answer(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool = False) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = headers.get("Content-Length", len(body)) if self.command == "HEAD" else len(body)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body[: len(body) // 2] if cut else body)
                if cut and body:
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                pass  # the client hung up

        self._over = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _draw(self, method: str, path: str) -> tuple[bool, bool, bool]:
        with self._lock:
            self.seen.append((method, path))
            fails, loses, cuts = (self._random.random() for _ in range(3))
            self.failed += fails < self.fails
            return fails < self.fails, loses < self.loses, cuts < self.cuts

    def _draw_stall(self) -> bool:
        with self._lock:
            stalls = self.stalls > 0
            self.stalls -= stalls
            return stalls

    def _ask(self, port: int, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        with contextlib.closing(connection):
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
