# SPDX-License-Identifier: Apache-2.0
"""The asynchronous HTTP transport of httpx, with a limit for replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx

from tfs_deploy.client.rest.reply_bytes import ReplyBytes, without_encoding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class AsyncHttpTransport(httpx.AsyncHTTPTransport):
    """A transport for ``httpx.AsyncClient``; ``max_reply`` is in bytes, the other arguments are those of httpx."""

    def __init__(self, max_reply: int, **options: Any) -> None:
        super().__init__(**options)
        self._max_reply = max_reply

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response."""
        response = await super().handle_async_request(request)
        headers, encoding = without_encoding(response.headers.raw)
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        return httpx.Response(
            response.status_code,
            headers=headers,
            stream=_Body(stream, encoding, self._max_reply),
            extensions=response.extensions,
        )


class _Body(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, encoding: str, most: int) -> None:
        self._stream, self._encoding, self._most = stream, encoding, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        reply = ReplyBytes(self._encoding, self._most)
        async for part in self._stream:
            yield reply.feed(part)

    async def aclose(self) -> None:
        await self._stream.aclose()
