"""The asynchronous gRPC client, on grpc.aio."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from tfs_deploy.client.async_client_base import AwaitingClient
from tfs_deploy.client.call.faults import grpc_fault, too_late
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.grpc.transport import (
    LATE,
    LATENESS,
    ROOM,
    Channel,
    after_close,
    channel_credentials,
    channel_options,
    grpc_target,
    metadata_of,
)
from tfs_deploy.client.options import grpc_settings_of
from tfs_deploy.client.transport import split_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.call.steps import Call
    from tfs_deploy.client.options import GrpcOptions, GrpcSettings


class AsyncClient(AwaitingClient):
    """Calls TensorFlow Serving over gRPC from coroutines; has the arguments of ``Client``.

    The channel belongs to the event loop of the first call; a client used from another loop (a second
    ``asyncio.run``) makes itself a new one there.
    """

    def __init__(self, target: str | Sequence[str], **options: Unpack[GrpcOptions]) -> None:
        settings = grpc_settings_of(options)
        targets = [grpc_target(each) for each in split_targets(target)]
        super().__init__(GrpcDialect(), [AsyncGrpcTransport(each, settings) for each in targets], settings, "grpc")
        self._target = ",".join(targets)

    def __repr__(self) -> str:
        return f"AsyncClient({self._target!r})"


class AsyncGrpcTransport:
    """Sends calls over a channel of the running event loop."""

    def __init__(self, target: str, settings: GrpcSettings) -> None:
        self._target = target
        self._credentials = channel_credentials(settings)
        self._options = channel_options(target, settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: Channel | None = None
        self._closed = False

    async def perform(self, call: Call) -> bytes:
        """Send one call and return the answer's bytes; raise a ``StatusError`` if there is none."""
        loop = asyncio.get_running_loop()
        channel = self._channel if self._channel is not None and loop is self._loop else self._connect(loop)
        try:
            left = call.end - time.monotonic()
            sent = channel.method(call.path)(call.body, timeout=left, metadata=metadata_of(call))
            if channel.writing or len(call.body or b"") > ROOM:
                return await self._watched(channel, sent, call, left)
            answer: bytes = await sent
        except grpc.aio.AioRpcError as error:
            code = error.code()
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                channel.writing.add(LATE)
            raise grpc_fault(code.value[0], error.details() or "", self._target, call.allowed) from error
        except grpc.aio.UsageError as error:
            # a channel that another task closed meanwhile
            raise after_close(self._target) from error
        return answer

    async def _watched(self, channel: Channel, sent: Any, call: Call, left: float) -> bytes:
        """Await a call that may outlast its deadline, and leave it alone then (see ``Channel``)."""
        waiting = asyncio.ensure_future(_answer(sent))
        if len(call.body or b"") > ROOM:
            channel.writing.add(sent)
            sent.add_done_callback(channel.writing.discard)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=max(left, 0.0) + LATENESS)
        except BaseException:
            waiting.cancel()
            raise
        if not done:
            waiting.cancel()
            waiting.add_done_callback(_forget)
            channel.writing.add(LATE)
            raise too_late(self._target, call.allowed)
        answer = waiting.result()
        channel.writing -= {sent, LATE}
        return answer

    def _connect(self, loop: asyncio.AbstractEventLoop) -> Channel:
        if self._closed:
            raise after_close(self._target)
        if self._credentials is None:
            made = grpc.aio.insecure_channel(self._target, self._options)
        else:
            made = grpc.aio.secure_channel(self._target, self._credentials, self._options)
        self._loop, self._channel = loop, Channel(made)
        return self._channel

    async def close(self) -> None:
        """Close the channel; calls after this are refused."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None and self._loop is asyncio.get_running_loop():
            await channel.channel.close()


def _forget(task: asyncio.Task[bytes]) -> None:
    """Take note of what became of a call that nobody waits for, or asyncio would complain."""
    if not task.cancelled():
        task.exception()


async def _answer(sent: Any) -> bytes:
    answer: bytes = await sent
    return answer
