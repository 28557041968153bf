"""The asynchronous REST client (extra ``rest``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tfs_deploy.client.awaiting import AwaitingClient
from tfs_deploy.client.core import DEFAULT_TIMEOUT, Core
from tfs_deploy.client.faults import rest_fault, too_late
from tfs_deploy.client.rest_dialect import RestDialect
from tfs_deploy.client.rest_transport import (
    HEADERS,
    after_close,
    error_message,
    http_fault,
    rest_base_url,
    uses_proxies,
)
from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from tfs_deploy.client.steps import Call


class AsyncRestClient(AwaitingClient):
    """Calls TensorFlow Serving over REST from coroutines; has the arguments and limits of ``RestClient``.

    The connections belong to the event loop of the first call; a client used from another loop makes new ones there.
    """

    def __init__(self, address: str, *, timeout: float = DEFAULT_TIMEOUT, check: bool = True) -> None:
        self._core = Core(RestDialect(), timeout=timeout, check=check)
        self._base_url = rest_base_url(address)
        self._httpx = import_extra("httpx", "rest")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Any = None
        self._closed = False

    def __repr__(self) -> str:
        return f"AsyncRestClient({self._base_url!r})"

    async def _perform(self, call: Call) -> bytes:
        loop = asyncio.get_running_loop()
        pool = self._pool if self._pool is not None and loop is self._loop else self._open(loop)
        url = self._base_url + call.path
        request = pool.request("GET" if call.body is None else "POST", url, content=call.body, timeout=None)
        try:
            response = await asyncio.wait_for(request, call.timeout)
        except asyncio.TimeoutError:
            raise too_late(urlsplit(self._base_url).netloc, call.timeout) from None
        except self._httpx.HTTPError as error:
            raise http_fault(self._httpx, error, self._base_url, call.timeout) from error
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
        self._loop = loop
        self._pool = self._httpx.AsyncClient(headers=HEADERS, trust_env=uses_proxies(self._base_url))
        return self._pool

    async def _close(self) -> None:
        self._closed = True
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.aclose()
