# SPDX-License-Identifier: Apache-2.0
"""The blocking gRPC transport: one channel for each process, opened on first use."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.options import GrpcSettings

_clock: Final = time.monotonic
#: bytes of a request from which a thread of its own costs less than gRPC's thread for futures
_LARGE_REQUEST: Final = 1 << 20

#: this process; cached, because the system call is slow compared with everything else that a call does here
_pid = os.getpid()
#: channels of a parent process: closing them in the child would disturb the parent's connections
_inherited: list[Any] = []


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)


class _CallThread(threading.Thread):
    """A call in a thread of its own, so that the caller can stop waiting for it."""

    def __init__(self, channel: Channel, send: Callable[[], bytes]) -> None:
        super().__init__(daemon=True, name="call")
        self._channel = channel
        self._send = send
        self._answer: bytes | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Send the call."""
        try:
            self._answer = self._send()
        except BaseException as error:  # noqa: BLE001 - raised where the call was made
            self._error = error
        self._channel.pending_writes.discard(self)

    def result(self, seconds: float) -> bytes:
        """Return the answer or raise the call's error, as ``grpc.Future.result`` does."""
        self.join(seconds)
        if self._error is not None:
            raise self._error
        if self._answer is None:
            raise grpc.FutureTimeoutError
        return self._answer


class GrpcTransport:
    """Sends calls over a channel of its own; safe to share between threads and across ``fork``."""

    def __init__(self, target: str, settings: GrpcSettings) -> None:
        self.target = target
        self._credentials = channel_credentials(settings)
        self._options = channel_options(target, settings)
        self._channels: dict[int, Channel] = {}
        self._closed = False

    def perform(self, call: Call) -> bytes:
        """Send one call and return the answer's bytes; raise a ``StatusError`` if there is none."""
        return message_of(self._perform(call), self.target)

    def _perform(self, call: Call) -> bytes | None:
        channel = self._channels.get(_pid) or self._connect()
        try:
            method = channel.methods.get(call.path) or channel.method(call.path)
            if channel.pending_writes or len(call.body or b"") > SMALL_REQUEST:
                return self._watch(channel, method, call)
            answer: bytes | None = method(call.body, call.end - _clock(), call_metadata(call))
        except grpc.RpcError as error:
            if goes_on(error, call):
                return self._perform(call)
            raise call_error(channel, error, self.target, call) from error
        except ValueError as error:
            # another thread has closed the channel
            raise closed_error(self.target) from error
        return answer

    def _watch(self, channel: Channel, method: Any, call: Call) -> bytes:
        """Send a call that may outlast its deadline, and abandon it then."""
        left = call.end - _clock()
        size = len(call.body or b"")
        if size > _LARGE_REQUEST:
            return self._send_in_thread(channel, method, call)
        future = method.future(call.body, left, call_metadata(call))
        if size > SMALL_REQUEST:
            channel.pending_writes.add(future)
            future.add_done_callback(channel.pending_writes.discard)
        try:
            answer: bytes = future.result(max(left, 0.0) + DEADLINE_GRACE)
        except grpc.FutureTimeoutError:
            future.cancel()
            channel.pending_writes.add(UNANSWERED)
            raise late_error(self.target, call.message_timeout) from None
        except BaseException:
            future.cancel()
            raise
        # gRPC's own thread would discard the future a moment later
        channel.pending_writes -= {future, UNANSWERED}
        return answer

    def _send_in_thread(self, channel: Channel, method: Any, call: Call) -> bytes:
        """Send a large call."""
        left = call.end - _clock()
        thread = _CallThread(channel, functools.partial(method, call.body, left, call_metadata(call)))
        channel.pending_writes.add(thread)
        thread.start()
        try:
            answer = thread.result(max(left, 0.0) + DEADLINE_GRACE)
        except grpc.FutureTimeoutError:
            channel.pending_writes.add(UNANSWERED)
            raise late_error(self.target, call.message_timeout) from None
        channel.pending_writes.discard(UNANSWERED)
        return answer

    def close(self) -> None:
        """Close the channel; later calls are refused."""
        self._closed = True
        channel = self._channels.pop(_pid, None)
        if channel is None:
            return
        if channel.pending_writes:
            # closing waits for writes that the server may never accept
            threading.Thread(target=channel.channel.close, daemon=True, name="close").start()
        else:
            channel.channel.close()

    def _connect(self) -> Channel:
        if self._closed:
            raise closed_error(self.target)
        if self._credentials is None:
            made = Channel(grpc.insecure_channel(self.target, self._options), encrypted=False)
        else:
            made = Channel(grpc.secure_channel(self.target, self._credentials, self._options), encrypted=True)
        # a copy, as another thread may connect at the same time
        _inherited.extend(channel for pid, channel in self._channels.copy().items() if pid != _pid)
        # no lock, because a fork could leave it locked: if two threads connect, the first channel stays
        kept = self._channels.setdefault(_pid, made)
        if kept is not made:
            made.channel.close()
        return kept
