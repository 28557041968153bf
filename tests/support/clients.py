# SPDX-License-Identifier: Apache-2.0
"""The four clients, of which a test may call each in the same way."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable
from typing import Any

from typing_extensions import Self

from tfs_deploy.client import AsyncClient, AsyncRestClient, Client, RestClient


class Awaited:
    """An asynchronous client with the methods of a blocking one, on an event loop of its own."""

    def __init__(self, kind: type[AsyncClient | AsyncRestClient], address: Any, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = kind(address, **options)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *args, **kwargs: self._settle(method(*args, **kwargs))

    def model(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._client.model(*args, **kwargs)
        return _Settled(bound, self._settle)

    def _settle(self, result: Any) -> Any:
        if inspect.isasyncgen(result):
            return self._loop.run_until_complete(_collect(result))
        return self._loop.run_until_complete(result) if inspect.isawaitable(result) else result

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


class _Settled:
    """A bound model whose methods return results."""

    def __init__(self, bound: Any, settle: Callable[[Any], Any]) -> None:
        self._bound, self._settle = bound, settle

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._bound, name)
        return lambda *args, **kwargs: self._settle(method(*args, **kwargs))


async def _collect(generator: Any) -> list[Any]:
    return [item async for item in generator]


CLIENTS: dict[str, Callable[..., Any]] = {
    "grpc": Client,
    "rest": RestClient,
    "async-grpc": functools.partial(Awaited, AsyncClient),
    "async-rest": functools.partial(Awaited, AsyncRestClient),
}
