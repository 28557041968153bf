"""uvicorn's HTTP protocol with the manners of the server's own (libevent).

Half-closed connections get their reply; what is no HTTP, or an unknown method, gets libevent's pages.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any

from tfs_deploy.extras import import_extra
from tfs_deploy.server.rest.handler import Reply, page


def http_protocol() -> type[Any]:
    """Return the protocol class for ``uvicorn.Config(http=...)``."""
    httptools = import_extra("httptools", "server")
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class HttpProtocol(HttpToolsProtocol):
        """One connection."""

        #: what a sender of garbage gets once the requests before it are answered
        _farewell: Reply | None = None

        def eof_received(self) -> bool | None:  # type: ignore[override]
            # the sender of a request may have closed its side of the connection after it
            cycle = self.cycle
            if cycle is None or cycle.response_complete or cycle.more_body:
                return None
            cycle.keep_alive = False
            return True

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002
            # called where the parser's error is handled
            unknown = isinstance(sys.exc_info()[1], httptools.HttpParserInvalidMethodError)
            self._farewell = page(501 if unknown else 400)
            cycle = self.cycle
            if cycle is None or cycle.response_complete or cycle.more_body:
                self._say_farewell()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._farewell is not None and not self.pipeline:
                self._say_farewell()

        def data_received(self, data: bytes) -> None:
            if self._farewell is None:
                super().data_received(data)

        def _say_farewell(self) -> None:
            reply = self._farewell
            if reply is None or self.transport.is_closing():
                return
            head = (
                f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\ncontent-type: {reply.content_type}\r\n"
                f"content-length: {len(reply.body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + reply.body)
            self.transport.close()

    return HttpProtocol
