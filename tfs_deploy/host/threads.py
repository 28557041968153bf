# SPDX-License-Identifier: Apache-2.0
"""Blocking work beside an event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread and return what it does; a caller that is cancelled waits for its end first.

    A thread cannot be stopped: whoever went on without it would meet what it holds, such as a lock.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):  # asked again: it still has to end
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen: the caller is told of the cancellation instead
        raise
