# SPDX-License-Identifier: Apache-2.0
"""uvicorn's HTTP protocol, changed to behave like the server's own (libevent), and to bound what a connection costs.

Half-closed connections get their reply; unknown methods, and bytes that are not HTTP, get libevent's pages. Requests on
one connection are read one after the other: of what was sent ahead, no more than a few are parsed, and the rest stays
in the socket.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tfs_deploy.server.rest.handler import Reply, html_page
from tfs_deploy.server.rest.limits import MAX_HEAD, SLOWEST, RestLimits

#: bytes that are parsed at a time where they may hold several requests
_PIECE: Final = 1024
#: how often a client that closed its side is asked whether it still listens
_PROBE_SECONDS: Final = 1.0


class _Flow(FlowControl):
    """Reads no more while requests that were sent ahead wait."""

    held = False

    def resume_reading(self) -> None:
        """Read on, unless requests wait."""
        if not self.held:
            super().resume_reading()


class HttpProtocol(HttpToolsProtocol):
    """One connection, which hands itself to the application as ``scope["connection"]``.

    Args:
        limits: what its client may take up.
        of_uvicorn: what uvicorn gives a protocol.

    Attributes:
        on_loss: called if the client goes before it has its reply; the application sets it.
    """

    flow: _Flow

    #: the reply to bytes that are not HTTP, once the requests before them are answered
    _last_reply: Reply | None = None
    on_loss: Callable[[], None] | None = None
    #: the request that the application has
    _answered: Any = None
    #: received and not parsed yet
    _ahead = b""
    #: what is left of a body whose length is known, and bytes since the parser got on
    _body_left = _quiet = 0
    _got_on = _in_head = False
    #: when the last bytes came, when this request began, its bytes, and since when the client does not read
    _heard = _begun = 0.0
    _received = 0
    _unread_since: float | None = None

    def __init__(self, limits: RestLimits, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._limits = limits

    def connection_made(self, transport: Any) -> None:
        """Refuse a connection beyond the limit."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._heard = self._begun = self.loop.time()
        if len(self.connections) > self._limits.connections:
            self._last_reply = html_page(503)
            self._send_last_reply()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what waits, and tell the application."""
        super().connection_lost(exc)
        self._ahead = b""
        self.pipeline.clear()
        if self.on_loss is not None:
            self.on_loss()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Keep a connection open whose client closed its side after a request."""
        # the sender of a request may have closed its side of the connection after it
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return None
        cycle.keep_alive = self._last_reply is not None  # which closes it
        self.loop.call_later(_PROBE_SECONDS, self._probe, cycle)
        return True

    def _probe(self, cycle: Any) -> None:
        """Ask a client that closed its side for a sign: one that is gone resets the connection (RFC 9110, 15.2)."""
        if cycle.response_started or self.transport.is_closing() or cycle.scope["http_version"] != "1.1":
            return
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.loop.call_later(_PROBE_SECONDS, self._probe, cycle)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Answer bytes that are not HTTP as libevent does."""
        # called where the parser's error is handled
        unknown = isinstance(sys.exc_info()[1], HttpParserInvalidMethodError)
        self._refuse(501 if unknown else 400)

    def _refuse(self, status: int) -> None:
        """Answer what cannot be read with a page, after the requests before it, and close."""
        self._ahead = b""
        self._last_reply = html_page(status)
        cycle = self.cycle
        if self.pipeline:
            if cycle.more_body:  # the page is its reply
                self.pipeline.popleft()
                self.cycle = self.pipeline[0][0] if self.pipeline else self._answered
        elif cycle is None or cycle.response_complete or cycle.more_body:
            self._send_last_reply()

    def on_response_complete(self) -> None:
        """Go on with what was sent ahead."""
        last = not self.pipeline
        if not last:
            self._answered = self.pipeline[-1][0]
        super().on_response_complete()
        if self.flow.held and not self.transport.is_closing():
            self._heard = self._begun = self.loop.time()
            self._parse()
        if self._last_reply is not None and last:
            self._send_last_reply()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        if self._last_reply is None:
            self._heard = self.loop.time()
            self._ahead = self._ahead + data if self._ahead else data
            self._parse()

    def _parse(self) -> None:
        """Parse what was received up to the second request that waits; then stop reading."""
        while self._ahead and not self.pipeline and self._last_reply is None:
            size = self._body_left or _PIECE
            piece, self._ahead = self._ahead[:size], self._ahead[size:]
            self._got_on = False
            super().data_received(piece)
            self._received += len(piece)
            self._quiet = 0 if self._got_on else self._quiet + len(piece)
            if self._quiet > MAX_HEAD and self._last_reply is None:
                self._refuse(431)
        held, self.flow.held = self.flow.held, bool(self._ahead or self.pipeline)
        if self.flow.held:
            self.flow.pause_reading()
        elif held:
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["connection"] = self  # type: ignore[typeddict-unknown-key]
        self._in_head, self._begun, self._received = True, self._heard, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; a trailer tells nothing."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Note how long the body is."""
        self._in_head, self._got_on = False, True
        self._body_left = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        super().on_headers_complete()
        if not self.pipeline:
            self._answered = self.cycle

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._got_on = True
        self._body_left = max(0, self._body_left - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._got_on = True
        self._body_left = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Note when the client stopped reading."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        super().resume_writing()
        self._unread_since = None

    def expire(self, now: float) -> None:
        """Close the connection if its client takes longer than the limits allow."""
        seconds = self._limits.request_seconds
        if self._unread_since is None and self.transport.is_closing():
            self._unread_since = now
        if self._unread_since is not None:
            if now - self._unread_since > seconds:
                self.transport.abort()
        elif not self.flow.held and self._too_slow(now, seconds):
            self.transport.close()

    def _too_slow(self, now: float, seconds: float) -> bool:
        if self._in_head or self.cycle is None:
            return now - self._begun > seconds
        if self.cycle.more_body and not self.cycle.response_complete:
            return now - self._heard > seconds or now - self._begun > seconds + self._received / SLOWEST
        # empty lines between two requests stop uvicorn's clock
        return self.timeout_keep_alive_task is None and self.cycle.response_complete and now - self._heard > seconds

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
