"""What sends bytes and returns bytes, and transports made of others: over several servers, with hedged calls."""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import os
import time
from typing import TYPE_CHECKING, Final, Protocol

from tfs_deploy.client.call.replicas import Replicas
from tfs_deploy.errors import DeadlineExceededError, StatusError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.client.call.steps import Call

#: so many attempts of one client may be under way; threads are started as they are needed
_HEDGING_THREADS: Final = 512
#: seconds that an attempt may take to report that its deadline has passed
_LATENESS: Final = 0.02


class Transport(Protocol):
    """Sends bytes and returns bytes."""

    def perform(self, call: Call) -> bytes:
        """Send one call and return the answer; raise a ``StatusError`` if there is none."""

    def close(self) -> None:
        """Release the connections; calls after this are refused."""


class AsyncTransport(Protocol):
    """Sends bytes and returns bytes, awaited."""

    async def perform(self, call: Call) -> bytes:
        """Send one call and return the answer; raise a ``StatusError`` if there is none."""

    async def close(self) -> None:
        """Release the connections; calls after this are refused."""


class BalancedTransport:
    """Sends each call to one of several servers (see ``Replicas``)."""

    def __init__(self, transports: Sequence[Transport]) -> None:
        self._transports = transports
        self.replicas = Replicas(len(transports))

    def perform(self, call: Call) -> bytes:
        """Send one call to the server whose turn it is."""
        number = call.server = pick(self.replicas, call)
        try:
            answer = self._transports[number].perform(call)
        except StatusError as error:
            note(self.replicas, number, call, error)
            raise
        self.replicas.answered(number)
        return answer

    def close(self) -> None:
        """Close the connections to all servers."""
        for transport in self._transports:
            transport.close()


class AsyncBalancedTransport:
    """``BalancedTransport``, awaited."""

    def __init__(self, transports: Sequence[AsyncTransport]) -> None:
        self._transports = transports
        self.replicas = Replicas(len(transports))

    async def perform(self, call: Call) -> bytes:
        """Send one call to the server whose turn it is."""
        number = call.server = pick(self.replicas, call)
        try:
            answer = await self._transports[number].perform(call)
        except StatusError as error:
            note(self.replicas, number, call, error)
            raise
        self.replicas.answered(number)
        return answer

    async def close(self) -> None:
        """Close the connections to all servers."""
        for transport in self._transports:
            await transport.close()


class HedgedTransport:
    """Sends a call a second time when the answer takes long, and returns the first answer.

    The request that loses goes on until it is answered or its deadline has passed.
    """

    def __init__(self, transport: Transport, after: float) -> None:
        self._transport = transport
        self._after = after
        self._pools: dict[int, concurrent.futures.ThreadPoolExecutor] = {}

    def perform(self, call: Call) -> bytes:
        """Send one call, perhaps twice."""
        if not call.again or call.timeout <= self._after:
            return self._transport.perform(call)
        pool = self._pool()
        first = pool.submit(self._transport.perform, call)
        if concurrent.futures.wait([first], self._after).done:
            return first.result()
        late = {first, pool.submit(self._transport.perform, second_of(call, self._after))}
        while late:
            left = call.end + _LATENESS - time.monotonic()
            done, late = concurrent.futures.wait(late, max(left, 0.0), concurrent.futures.FIRST_COMPLETED)
            if not done:
                # there are more calls than threads, and the servers answer none of them
                for future in late:
                    future.cancel()
                raise DeadlineExceededError(f"no answer within {call.allowed:.3g} s", hint="give a longer timeout")
            for future in done:
                if future.exception() is None:
                    return future.result()
        return first.result()

    def close(self) -> None:
        """Close the connections, and end the threads as their calls end."""
        self._transport.close()
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.shutdown(wait=False)

    def _pool(self) -> concurrent.futures.ThreadPoolExecutor:
        # threads do not survive a fork: each process has its own
        found = self._pools.get(os.getpid())
        if found is None:
            made = concurrent.futures.ThreadPoolExecutor(_HEDGING_THREADS, thread_name_prefix="hedge")
            found = self._pools.setdefault(os.getpid(), made)
        return found


class AsyncHedgedTransport:
    """``HedgedTransport``, awaited; the request that loses is cancelled."""

    def __init__(self, transport: AsyncTransport, after: float) -> None:
        self._transport = transport
        self._after = after

    async def perform(self, call: Call) -> bytes:
        """Send one call, perhaps twice."""
        if not call.again or call.timeout <= self._after:
            return await self._transport.perform(call)
        first = asyncio.ensure_future(self._transport.perform(call))
        tasks = [first]
        try:
            if (await asyncio.wait(tasks, timeout=self._after))[0]:
                return first.result()
            tasks.append(asyncio.ensure_future(self._transport.perform(second_of(call, self._after))))
            done, late = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            answered = [task for task in done if task.exception() is None]
            return await (answered or [*late, first])[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()


def pick(replicas: Replicas, call: Call) -> int:
    """Choose a server for a call.

    Raises:
        UsageError: the call changes a server: that has to be said of each one.
    """
    if call.path.endswith("HandleReloadConfigRequest"):
        raise UsageError(
            "reload goes to one server, and this client has several", hint="make a client for each server and reload it"
        )
    return replicas.pick(call.tried)


def note(replicas: Replicas, number: int, call: Call, error: StatusError) -> None:
    """Note how a call to a server failed; the call's next attempt goes elsewhere if there was no answer."""
    replicas.failed(number, error)
    if isinstance(error, (UnavailableError, DeadlineExceededError)):
        call.tried += (number,)


def second_of(call: Call, after: float) -> Call:
    """Return the request that is sent ``after`` seconds behind the first one, and count it."""
    if call.record is not None:
        call.record.hedges += 1
        call.record.bytes_sent += len(call.body) if call.body is not None else 0
    # to another server than the one that takes so long
    tried = call.tried if call.server is None else (*call.tried, call.server)
    return dataclasses.replace(call, timeout=call.timeout - after, given=call.allowed, tried=tried)


def split_targets(target: str | Sequence[str]) -> list[str]:
    """Return the servers of a target: a sequence, or text with commas (``ipv4:`` and ``ipv6:`` have their own).

    Raises:
        UsageError: there is none.
    """
    if isinstance(target, str):
        # gRPC's own schemes for lists of addresses
        whole = target.startswith(("ipv4:", "ipv6:", "dns:", "unix:", "xds:"))
        return [target] if whole else [part.strip() for part in target.split(",")]
    targets = [part for each in target for part in split_targets(each)]
    if not targets:
        raise UsageError("there is no target", hint="give at least one HOST:PORT")
    return targets
