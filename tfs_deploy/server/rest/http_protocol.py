"""uvicorn's HTTP protocol, changed to behave like the server's own (libevent).

Half-closed connections get their reply; unknown methods, and bytes that are not HTTP, get libevent's pages.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import Any

from tfs_deploy.extras import import_extra
from tfs_deploy.server.rest.handler import Reply, html_page


def http_protocol() -> type[Any]:
    """Return the protocol class for ``uvicorn.Config(http=...)``."""
    httptools = import_extra("httptools", "server")
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class HttpProtocol(HttpToolsProtocol):
        """One connection."""

        #: the reply to bytes that are not HTTP, once the requests before them are answered
        _last_reply: Reply | None = None

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
            self._last_reply = html_page(501 if unknown else 400)
            cycle = self.cycle
            if cycle is None or cycle.response_complete or cycle.more_body:
                self._send_last_reply()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self._last_reply is not None and not self.pipeline:
                self._send_last_reply()

        def data_received(self, data: bytes) -> None:
            if self._last_reply is None:
                super().data_received(data)

        def _send_last_reply(self) -> None:
            reply = self._last_reply
            if reply is None or self.transport.is_closing():
                return
            head = (
                f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\ncontent-type: {reply.content_type}\r\n"
                f"content-length: {len(reply.body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + reply.body)
            self.transport.close()

    return HttpProtocol
