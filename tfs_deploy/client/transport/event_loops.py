# SPDX-License-Identifier: Apache-2.0
"""What an asynchronous client has once for each event loop that it is used in, such as its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerLoop(Generic[T]):
    """One value for each event loop, closed with the loop.

    An asynchronous generator that a loop has begun is ended by it (``loop.shutdown_asyncgens``, which ``asyncio.run``
    calls), so one of them holds each value. The value of a loop that was closed without that is dropped when the next
    one is made.

    Args:
        make: returns the value of the running loop.
        close: closes it, in its loop.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]]) -> None:
        #: the values made so far, by loop
        self.made: dict[asyncio.AbstractEventLoop, T] = {}
        self._make = make
        self._close = close
        self._keepers: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}

    async def open(self, loop: asyncio.AbstractEventLoop) -> T:
        """Make and return the value of the running loop, which has none."""
        self._drop_closed()
        made = self.made[loop] = self._make()
        keeper = self._keepers[loop] = self._keep(loop, made)
        await keeper.__anext__()
        return made

    async def close(self) -> None:
        """Close the values of all loops, those of other running loops in their threads."""
        self._drop_closed()
        for loop, keeper in list(self._keepers.items()):
            if loop is asyncio.get_running_loop():
                await keeper.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(_end(keeper), loop)

    async def _keep(self, loop: asyncio.AbstractEventLoop, made: T) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.made.pop(loop, None)
            self._keepers.pop(loop, None)
            await self._close(made)

    def _drop_closed(self) -> None:
        for loop in [loop for loop in self.made if loop.is_closed()]:
            self._keepers.pop(loop, None)
            self.made.pop(loop, None)


async def _end(keeper: AsyncGenerator[None, None]) -> None:
    await keeper.aclose()
