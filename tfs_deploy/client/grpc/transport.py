"""Channels: made on first use in each process, with names and sizes that suit a model server."""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from tfs_deploy.client.call.faults import grpc_fault, too_late
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.client.call.steps import Call
    from tfs_deploy.client.options import GrpcSettings

DEFAULT_PORT: Final = 8500
_OPTIONS: Final = (
    # gRPC's own limit for received messages is 4 MiB, less than a batch of images
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # connections shared between channels do not survive a fork
    ("grpc.use_local_subchannel_pool", 1),
    # A server that restarts is found again at once, not after gRPC's growing 1 to 120 s: while a channel waits to
    # connect again, all its calls fail, so that wait has to be shorter than the pauses between a call's attempts.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    # With keepalive on, gRPC also has the kernel give up on a machine that no longer acknowledges what is sent
    # (TCP_USER_TIMEOUT), after 10 s in the place of a quarter of an hour. Servers allow a ping every 300 s.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
_GZIP: Final = 2
#: targets that may stand for several addresses, over which calls are spread
_MANY: Final = ("dns:", "ipv4:", "ipv6:")
_LOOPBACK: Final = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|\[::1\]):|^unix:")

_clock: Final = time.monotonic
#: bytes of a request that a connection takes at once, whatever its server does
ROOM: Final = 16_384
#: bytes of a request from which on a thread of its own costs less than gRPC's thread for calls that are not waited for
LARGE: Final = 1 << 20
#: seconds that gRPC may take to report that a deadline has passed
LATENESS: Final = 0.01
#: stands for calls that ended without an answer, until there is one again
LATE: Final = object()

#: this process; kept, because the system call is slow next to everything else that a call does here
_pid = os.getpid()
#: channels of a parent process: closing them in the child would disturb the parent's connections
_inherited: list[Any] = []


def _after_fork() -> None:
    global _pid
    _pid = os.getpid()


os.register_at_fork(after_in_child=_after_fork)


class Channel:
    """An open channel and its methods by path; messages are bytes on both sides.

    ``writing``: calls whose requests may have filled the connection. While a server takes no more of them, gRPC ends no
    call on it, not even at its deadline (a call ends when its last write has), so calls beside and behind them have to
    be watched.
    """

    __slots__ = ("channel", "methods", "writing")

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.methods: dict[str, Any] = {}
        self.writing: set[Any] = set()

    def method(self, path: str) -> Any:
        """Return the callable of a method."""
        found = self.methods.get(path)
        if found is None:
            found = self.methods[path] = self.channel.unary_unary(path)
        return found


def grpc_target(target: str) -> str:
    """Complete a target: the default port for a bare host name; ``unix:``, ``dns:///`` and the like stay.

    Raises:
        UsageError: a URL, which is for the REST client.
    """
    if re.match(r"https?://", target):
        raise UsageError(f"{target} is a URL, the gRPC client takes HOST:PORT", hint="use RestClient (--rest) for URLs")
    if not target or target.startswith(":"):
        raise UsageError(f"{target!r} is no HOST:PORT", hint="give for example localhost:8500")
    return target if re.search(r":", target) else f"{target}:{DEFAULT_PORT}"


def channel_options(target: str, settings: GrpcSettings) -> tuple[tuple[str, Any], ...]:
    """Return the arguments of a channel; the caller's own come last and win."""
    more: list[tuple[str, Any]] = []
    if _LOOPBACK.match(target):
        more.append(("grpc.enable_http_proxy", 0))
    if target.startswith(_MANY):
        more.append(("grpc.lb_policy_name", "round_robin"))
    if settings.keepalive is not None:
        more.append(("grpc.keepalive_time_ms", int(settings.keepalive * 1000)))
    if settings.compression is not None:
        more.append(("grpc.default_compression_algorithm", _GZIP))
    if settings.tls is not None and settings.tls.name is not None:
        more.append(("grpc.ssl_target_name_override", settings.tls.name))
    return (*_OPTIONS, *more, *settings.options)


def channel_credentials(settings: GrpcSettings) -> Any | None:
    """Return the ``grpc.ChannelCredentials`` that the settings ask for, ``None`` for plain text."""
    credentials = settings.tls.credentials() if settings.tls is not None else settings.credentials
    if settings.call_credentials is None:
        return credentials
    return grpc.composite_channel_credentials(credentials, settings.call_credentials)


def metadata_of(call: Call) -> tuple[tuple[str, str], ...] | None:
    """Return the headers of a call in the form that gRPC takes."""
    record = call.record
    return tuple(record.headers.items()) if record is not None and record.headers else None


def after_close(target: str) -> UsageError:
    """Make the error for a call on a closed client."""
    return UsageError(f"the client of {target} is closed", hint="make a new one")


class _Apart(threading.Thread):
    """A call that waits in a thread of its own, so that the caller need not wait for longer than it wants."""

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
        self._channel.writing.discard(self)

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
        channel = self._channels.get(_pid) or self._connect()
        try:
            method = channel.methods.get(call.path) or channel.method(call.path)
            if channel.writing or len(call.body or b"") > ROOM:
                return self._watched(channel, method, call)
            answer: bytes = method(call.body, call.end - _clock(), metadata_of(call))
        except grpc.RpcError as error:
            code = error.code()
            if code is grpc.StatusCode.DEADLINE_EXCEEDED:
                channel.writing.add(LATE)
            raise grpc_fault(code.value[0], error.details() or "", self.target, call.allowed) from error
        except ValueError as error:
            # a channel that another thread closed meanwhile
            raise after_close(self.target) from error
        return answer

    def _watched(self, channel: Channel, method: Any, call: Call) -> bytes:
        """Send a call that may outlast its deadline, and leave it alone then."""
        left = call.end - _clock()
        size = len(call.body or b"")
        if size > LARGE:
            return self._apart(channel, method, call)
        future = method.future(call.body, left, metadata_of(call))
        if size > ROOM:
            channel.writing.add(future)
            future.add_done_callback(channel.writing.discard)
        try:
            answer: bytes = future.result(max(left, 0.0) + LATENESS)
        except grpc.FutureTimeoutError:
            future.cancel()
            channel.writing.add(LATE)
            raise too_late(self.target, call.allowed) from None
        except BaseException:
            future.cancel()
            raise
        # of the call, gRPC's own thread would say so a moment later
        channel.writing -= {future, LATE}
        return answer

    def _apart(self, channel: Channel, method: Any, call: Call) -> bytes:
        """Send a large call."""
        left = call.end - _clock()
        apart = _Apart(channel, functools.partial(method, call.body, left, metadata_of(call)))
        channel.writing.add(apart)
        apart.start()
        try:
            answer = apart.result(max(left, 0.0) + LATENESS)
        except grpc.FutureTimeoutError:
            channel.writing.add(LATE)
            raise too_late(self.target, call.allowed) from None
        channel.writing.discard(LATE)
        return answer

    def close(self) -> None:
        """Close the channel; calls after this are refused."""
        self._closed = True
        channel = self._channels.pop(_pid, None)
        if channel is None:
            return
        if channel.writing:
            # it waits for writes that a server may never take
            threading.Thread(target=channel.channel.close, daemon=True, name="close").start()
        else:
            channel.channel.close()

    def _connect(self) -> Channel:
        if self._closed:
            raise after_close(self.target)
        if self._credentials is None:
            made = Channel(grpc.insecure_channel(self.target, self._options))
        else:
            made = Channel(grpc.secure_channel(self.target, self._credentials, self._options))
        _inherited.extend(channel for pid, channel in self._channels.items() if pid != _pid)
        # without a lock, which a fork could leave locked: of two threads the first one's channel is kept
        kept = self._channels.setdefault(_pid, made)
        if kept is not made:
            made.channel.close()
        return kept
