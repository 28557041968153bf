# SPDX-License-Identifier: Apache-2.0
"""The asynchronous REST transport, on httpx."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import TYPE_CHECKING, Any

from tfs_deploy.client.call.status_errors import late_error
from tfs_deploy.client.rest.address import rest_proxy
from tfs_deploy.client.rest.error_replies import reply_error
from tfs_deploy.client.rest.http_requests import (
    MAX_IDLE_CONNECTIONS,
    HttpRequests,
    closed_error,
    http_error,
)
from tfs_deploy.client.transport.event_loops import PerLoop
from tfs_deploy.host.addresses import read_url

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.options import Settings


class AsyncRestTransport:
    """Sends calls over connections of the running event loop; each loop has its own."""

    def __init__(self, base_url: str, settings: Settings) -> None:
        self._base_url = base_url
        self._requests = HttpRequests(base_url, settings)
        self._max_reply = settings.max_reply
        self._httpx = self._requests.httpx
        self._pools = PerLoop(self._open, _close)
        self._closed = False

    async def perform(self, call: Call) -> bytes:
        """Send one request and return the reply's body; raise a ``StatusError`` if there is none or it is an error."""
        loop = asyncio.get_running_loop()
        pool = self._pools.made.get(loop) or await self._pools.open(loop)
        method, url, arguments = self._requests.request(call)
        try:
            left = call.end - time.monotonic()
            response = await asyncio.wait_for(pool.request(method, url, timeout=None, **arguments), left)
        except asyncio.TimeoutError:
            raise late_error(read_url(self._base_url).place, call.message_timeout) from None
        # anyio lets errors of TLS pass
        except (self._httpx.HTTPError, self._httpx.InvalidURL, ssl.SSLError) as error:
            raise http_error(error, self._base_url, call.message_timeout) from error
        except RuntimeError as error:
            if not self._closed:
                raise
            raise closed_error(self._base_url) from error
        body: bytes = response.content
        if response.status_code != self._httpx.codes.OK or (not body and "grpc-status" in response.headers):
            raise reply_error(response.status_code, response.headers, body, url)
        return body

    def _open(self) -> Any:
        if self._closed:
            raise closed_error(self._base_url)
        # it needs httpx, which an extra installs
        from tfs_deploy.client.rest.async_http_transport import AsyncHttpTransport

        transport = AsyncHttpTransport(
            self._max_reply,
            verify=self._requests.ssl_context(),
            proxy=rest_proxy(self._base_url),
            trust_env=False,
            limits=self._httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IDLE_CONNECTIONS),
        )
        return self._httpx.AsyncClient(transport=transport, trust_env=False, headers=self._requests.headers)

    async def close(self) -> None:
        """Close the connections; later calls are refused."""
        self._closed = True
        await self._pools.close()


async def _close(pool: Any) -> None:
    await pool.aclose()
