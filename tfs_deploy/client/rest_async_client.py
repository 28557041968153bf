"""The asynchronous REST client (extra ``rest``)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tfs_deploy.client.async_client_base import AwaitingClient
from tfs_deploy.client.call.faults import rest_fault, too_late
from tfs_deploy.client.options import settings_of
from tfs_deploy.client.rest.dialect import RestDialect
from tfs_deploy.client.rest.transport import KEPT, HttpRequests, after_close, error_message, http_fault, rest_base_url
from tfs_deploy.client.transport import split_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.call.steps import Call
    from tfs_deploy.client.options import Options, Settings


class AsyncRestClient(AwaitingClient):
    """Calls TensorFlow Serving over REST from coroutines; has the arguments and limits of ``RestClient``.

    The connections belong to the event loop of the first call; a client used from another loop makes new ones there.
    """

    def __init__(self, address: str | Sequence[str], **options: Unpack[Options]) -> None:
        settings = settings_of(options)
        urls = [rest_base_url(each, encrypted=settings.tls is not None) for each in split_targets(address)]
        super().__init__(RestDialect(), [AsyncRestTransport(url, settings) for url in urls], settings, "rest")
        self._address = ",".join(urls)

    def __repr__(self) -> str:
        return f"AsyncRestClient({self._address!r})"


class AsyncRestTransport:
    """Sends calls over connections of the running event loop."""

    def __init__(self, base_url: str, settings: Settings) -> None:
        self._base_url = base_url
        self._requests = HttpRequests(base_url, settings)
        self._httpx = self._requests.httpx
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Any = None
        self._closed = False

    async def perform(self, call: Call) -> bytes:
        """Send one request and return the reply's body; raise a ``StatusError`` if there is none or it is an error."""
        loop = asyncio.get_running_loop()
        pool = self._pool if self._pool is not None and loop is self._loop else self._open(loop)
        method, url, more = self._requests.request(call)
        try:
            left = call.end - time.monotonic()
            response = await asyncio.wait_for(pool.request(method, url, timeout=None, **more), left)
        except asyncio.TimeoutError:
            raise too_late(urlsplit(self._base_url).netloc, call.allowed) from None
        except self._httpx.HTTPError as error:
            raise http_fault(error, self._base_url, call.allowed) from error
        except RuntimeError as error:
            if not self._closed:
                raise
            raise after_close(self._base_url) from error
        body: bytes = response.content
        if response.status_code != self._httpx.codes.OK:
            raise rest_fault(response.status_code, error_message(body), url)
        return body

    def _open(self, loop: asyncio.AbstractEventLoop) -> Any:
        if self._closed:
            raise after_close(self._base_url)
        requests = self._requests
        limits = self._httpx.Limits(max_connections=None, max_keepalive_connections=KEPT)
        self._loop = loop
        self._pool = self._httpx.AsyncClient(
            verify=requests.context(), proxy=requests.proxy(), trust_env=False, headers=requests.headers, limits=limits
        )
        return self._pool

    async def close(self) -> None:
        """Close the connections; calls after this are refused."""
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.aclose()
