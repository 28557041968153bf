# SPDX-License-Identifier: Apache-2.0
"""Hedging: a transport that sends a slow call a second time and takes the first answer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import os
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import DeadlineExceededError

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.transport.transport import AsyncTransport, Transport

#: attempts of one client that can be in progress at once; threads start as needed
_HEDGING_THREADS: Final = 512
#: seconds that an attempt may take to report that its deadline has passed
_DEADLINE_GRACE: Final = 0.02


class HedgedTransport:
    """Sends a call a second time if the answer takes long, and returns the first answer.

    The other request goes on until it is answered or its deadline has passed.
    """

    def __init__(self, transport: Transport, after: float) -> None:
        self._transport = transport
        self._after = after
        self._pools: dict[int, concurrent.futures.ThreadPoolExecutor] = {}

    def perform(self, call: Call) -> bytes:
        """Send one call, twice if the first answer takes long, and return the first answer."""
        if not call.may_retry or call.timeout <= self._after:
            return self._transport.perform(call)
        pool = self._pool()
        first = pool.submit(self._transport.perform, call)
        if concurrent.futures.wait([first], self._after).done:
            return first.result()
        pending = {first, pool.submit(self._transport.perform, second_request(call, self._after))}
        while pending:
            left = call.end + _DEADLINE_GRACE - time.monotonic()
            done, pending = concurrent.futures.wait(pending, max(left, 0.0), concurrent.futures.FIRST_COMPLETED)
            if not done:
                # there are more calls than threads, and the servers answer none of them
                for future in pending:
                    future.cancel()
                raise DeadlineExceededError(
                    f"no answer within {call.message_timeout:.3g} s", hint="give a longer timeout"
                )
            for future in done:
                if future.exception() is None:
                    return future.result()
        return first.result()

    def close(self) -> None:
        """Close the connections; the threads end with their calls."""
        self._transport.close()
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.shutdown(wait=False)

    def _pool(self) -> concurrent.futures.ThreadPoolExecutor:
        # threads do not survive a fork, so each process has its own pool
        found = self._pools.get(os.getpid())
        if found is None:
            made = concurrent.futures.ThreadPoolExecutor(_HEDGING_THREADS, thread_name_prefix="hedge")
            found = self._pools.setdefault(os.getpid(), made)
        return found


class AsyncHedgedTransport:
    """``HedgedTransport``, awaited; the other request is cancelled."""

    def __init__(self, transport: AsyncTransport, after: float) -> None:
        self._transport = transport
        self._after = after

    async def perform(self, call: Call) -> bytes:
        """Send one call, twice if the first answer takes long, and return the first answer."""
        if not call.may_retry or call.timeout <= self._after:
            return await self._transport.perform(call)
        first = asyncio.ensure_future(self._transport.perform(call))
        tasks = [first]
        try:
            if (await asyncio.wait(tasks, timeout=self._after))[0]:
                return first.result()
            tasks.append(asyncio.ensure_future(self._transport.perform(second_request(call, self._after))))
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            answered = [task for task in done if task.exception() is None]
            return await (answered or [*pending, first])[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


def second_request(call: Call, after: float) -> Call:
    """Return the request to send ``after`` seconds behind the first one, counted as a hedge."""
    if call.record is not None:
        call.record.hedges += 1
        call.record.bytes_sent += len(call.body) if call.body is not None else 0
    # not to the server that takes so long
    failed = call.failed_servers if call.server is None else (*call.failed_servers, call.server)
    return dataclasses.replace(
        call, timeout=call.timeout - after, caller_timeout=call.message_timeout, failed_servers=failed
    )
