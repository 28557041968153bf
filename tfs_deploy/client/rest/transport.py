# SPDX-License-Identifier: Apache-2.0
"""The blocking REST transport: one connection pool for each process, opened on first use."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any

from tfs_deploy.client.rest.address import rest_proxy
from tfs_deploy.client.rest.error_replies import reply_error
from tfs_deploy.client.rest.http_requests import HttpRequests, closed_error, http_error

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.options import Settings


class RestTransport:
    """Sends calls over a connection pool of its own; safe to share between threads and across ``fork``."""

    def __init__(self, base_url: str, settings: Settings) -> None:
        self.base_url = base_url
        self._requests = HttpRequests(base_url, settings)
        self._max_reply = settings.max_reply
        self._httpx = self._requests.httpx
        self._pools: dict[int, Any] = {}
        self._closed = False

    def perform(self, call: Call) -> bytes:
        """Send one request and return the reply's body; raise a ``StatusError`` if there is none or it is an error."""
        pool = self._pools.get(os.getpid()) or self._open()
        method, url, arguments = self._requests.request(call)
        # moments instead of seconds: see DeadlineTransport
        arguments.setdefault("extensions", {})["timeout"] = dict.fromkeys(("connect", "write", "read"), call.end)
        try:
            response = pool.request(method, url, **arguments)
        except (self._httpx.HTTPError, self._httpx.InvalidURL, ssl.SSLError, *_connection_errors()) as error:
            raise http_error(error, self.base_url, call.message_timeout) from error
        except RuntimeError as error:
            if not self._closed:
                raise
            raise closed_error(self.base_url) from error
        body: bytes = response.content
        if response.status_code != self._httpx.codes.OK or (not body and "grpc-status" in response.headers):
            raise reply_error(response.status_code, response.headers, body, url)
        return body

    def close(self) -> None:
        """Close the connections; later calls are refused."""
        self._closed = True
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def _open(self) -> Any:
        if self._closed:
            raise closed_error(self.base_url)
        # it needs httpx, which an extra installs
        from tfs_deploy.client.rest.deadline_transport import DeadlineTransport

        transport = DeadlineTransport(self._requests.ssl_context(), rest_proxy(self.base_url), self._max_reply)
        made = self._httpx.Client(transport=transport, headers=self._requests.headers, trust_env=False)
        # no lock, because a fork could leave it locked: if two threads connect, the first pool stays
        kept = self._pools.setdefault(os.getpid(), made)
        if kept is not made:
            made.close()
        return kept


def _connection_errors() -> tuple[type[Exception], ...]:
    """Return the connection errors that httpcore, the library below httpx, raises."""
    import httpcore

    return (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    )
