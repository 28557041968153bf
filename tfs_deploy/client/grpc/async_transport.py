# SPDX-License-Identifier: Apache-2.0
"""The asynchronous gRPC transport, on grpc.aio."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tfs_deploy.client.call.status_errors import late_error
from tfs_deploy.client.grpc.channel import (
    DEADLINE_GRACE,
    SMALL_REQUEST,
    UNANSWERED,
    Channel,
    call_error,
    call_metadata,
    channel_credentials,
    channel_options,
    closed_error,
    goes_on,
    message_of,
)
from tfs_deploy.client.transport.event_loops import PerLoop

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.options import GrpcSettings


class AsyncGrpcTransport:
    """Sends calls over a channel of the running event loop; each loop has its own."""

    def __init__(self, target: str, settings: GrpcSettings) -> None:
        self._target = target
        self._credentials = channel_credentials(settings)
        self._options = channel_options(target, settings)
        self._channels = PerLoop(self._connect, _close)
        self._closed = False

    async def perform(self, call: Call) -> bytes:
        """Send one call and return the answer's bytes; raise a ``StatusError`` if there is none."""
        return message_of(await self._perform(call), self._target)

    async def _perform(self, call: Call) -> bytes | None:
        loop = asyncio.get_running_loop()
        channel = self._channels.made.get(loop) or await self._channels.open(loop)
        try:
            left = call.end - time.monotonic()
            sent = channel.method(call.path)(call.body, timeout=left, metadata=call_metadata(call))
            if channel.pending_writes or len(call.body or b"") > SMALL_REQUEST:
                return await self._watch(channel, sent, call, left)
            answer: bytes | None = await sent
        except grpc.aio.AioRpcError as error:
            if goes_on(error, call):
                return await self._perform(call)
            raise call_error(channel, error, self._target, call) from error
        except grpc.aio.UsageError as error:
            # another task has closed the channel
            raise closed_error(self._target) from error
        return answer

    async def _watch(self, channel: Channel, sent: Any, call: Call, left: float) -> bytes:
        """Await a call that may outlast its deadline, and abandon it then (see ``Channel``)."""
        waiting = asyncio.ensure_future(_answer(sent))
        if len(call.body or b"") > SMALL_REQUEST:
            channel.pending_writes.add(sent)
            sent.add_done_callback(channel.pending_writes.discard)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=max(left, 0.0) + DEADLINE_GRACE)
        except BaseException:
            waiting.cancel()
            raise
        if not done:
            waiting.cancel()
            waiting.add_done_callback(_retrieve_exception)
            channel.pending_writes.add(UNANSWERED)
            raise late_error(self._target, call.message_timeout)
        answer = waiting.result()
        channel.pending_writes -= {sent, UNANSWERED}
        return answer

    def _connect(self) -> Channel:
        if self._closed:
            raise closed_error(self._target)
        if self._credentials is None:
            made = grpc.aio.insecure_channel(self._target, self._options)
        else:
            made = grpc.aio.secure_channel(self._target, self._credentials, self._options)
        return Channel(made, encrypted=self._credentials is not None)

    async def close(self) -> None:
        """Close the channels; later calls are refused."""
        self._closed = True
        await self._channels.close()


async def _close(channel: Channel) -> None:
    await channel.channel.close()


def _retrieve_exception(task: asyncio.Task[bytes]) -> None:
    """Retrieve the exception of an abandoned call; otherwise asyncio logs that it was never retrieved."""
    if not task.cancelled():
        task.exception()


async def _answer(sent: Any) -> bytes:
    answer: bytes = await sent
    return answer
