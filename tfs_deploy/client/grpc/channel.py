# SPDX-License-Identifier: Apache-2.0
"""gRPC channels: their arguments, credentials and errors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import grpc

from tfs_deploy.client.call.status_errors import grpc_error, is_turned_away
from tfs_deploy.client.grpc.target import grpc_proxy
from tfs_deploy.errors import DataLossError, UsageError

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.options import GrpcSettings
    from tfs_deploy.errors import StatusError

_ARGUMENTS: Final = (
    ("grpc.max_send_message_length", -1),
    # connections shared between channels do not survive a fork
    ("grpc.use_local_subchannel_pool", 1),
    # Find a server that restarts at once, not after gRPC's backoff of 1 to 120 s: while a channel waits to reconnect,
    # all its calls fail, so that wait has to be shorter than the pauses between a call's attempts.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Of replicas that restart one after the other, each comes back at another address: gRPC would ask for the addresses
    # of a name only every 30 s.
    ("grpc.dns_min_time_between_resolutions_ms", 500),
    # With keepalive on, gRPC also makes the kernel give up on a machine that does not acknowledge what is sent
    # (TCP_USER_TIMEOUT) after 10 s instead of a quarter of an hour. Servers allow a ping every 300 s.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
_GZIP: Final = 2
#: targets that may stand for several addresses, over which calls are spread
_SEVERAL_ADDRESSES: Final = ("dns:", "ipv4:", "ipv6:")

#: bytes of a request that a connection accepts at once, even if the server reads nothing
SMALL_REQUEST: Final = 16_384
#: how often a call that is turned away is sent on another connection, which may lead to a server that stops as well
_MOST_TURNED_AWAY: Final = 3
#: seconds that gRPC may take to report that a deadline has passed
DEADLINE_GRACE: Final = 0.01
#: stands for calls that ended without an answer, until a call is answered again
UNANSWERED: Final = object()


class Channel:
    """An open channel and its methods by path; requests and replies are bytes.

    ``pending_writes`` holds calls whose requests may have filled the connection. While a server reads no more of them,
    gRPC ends no call on that connection, not even at its deadline (a call ends after its last write), so the calls
    beside and behind them have to be watched.
    """

    __slots__ = ("channel", "encrypted", "methods", "pending_writes")

    def __init__(self, channel: Any, *, encrypted: bool) -> None:
        self.channel = channel
        self.encrypted = encrypted
        self.methods: dict[str, Any] = {}
        self.pending_writes: set[Any] = set()

    def method(self, path: str) -> Any:
        """Return the callable of a method."""
        found = self.methods.get(path)
        if found is None:
            found = self.methods[path] = self.channel.unary_unary(path)
        return found


def channel_options(target: str, settings: GrpcSettings) -> tuple[tuple[str, Any], ...]:
    """Return the arguments of a channel, each once: the caller's own, and the client's where the caller gave none.

    Of an argument that is given twice, gRPC takes the first (src/core/lib/channel/channel_args.cc).
    """
    arguments: dict[str, Any] = dict(_ARGUMENTS)
    # gRPC's own limit is 4 MiB, less than a batch of images; it counts what a message is unpacked to
    arguments["grpc.max_receive_message_length"] = settings.max_reply
    proxy = grpc_proxy(target)
    # without the first argument, gRPC goes by rules of its own for what the environment says
    arguments["grpc.enable_http_proxy"] = int(proxy is not None)
    if proxy is not None:
        arguments["grpc.http_proxy"] = proxy
    if target.startswith(_SEVERAL_ADDRESSES):
        arguments["grpc.lb_policy_name"] = "round_robin"
    if settings.keepalive is not None:
        arguments["grpc.keepalive_time_ms"] = int(settings.keepalive * 1000)
    if settings.compression is not None:
        arguments["grpc.default_compression_algorithm"] = _GZIP
    if settings.tls is not None and settings.tls.name is not None:
        arguments["grpc.ssl_target_name_override"] = settings.tls.name
    given = {name for name, _ in settings.options}
    return (*settings.options, *((name, value) for name, value in arguments.items() if name not in given))


def channel_credentials(settings: GrpcSettings) -> Any | None:
    """Return the ``grpc.ChannelCredentials`` for the settings; ``None`` = plain text."""
    credentials = settings.tls.credentials() if settings.tls is not None else settings.credentials
    if settings.call_credentials is None:
        return credentials
    return grpc.composite_channel_credentials(credentials, settings.call_credentials)


def call_metadata(call: Call) -> tuple[tuple[str, str], ...] | None:
    """Return the headers of a call as gRPC takes them."""
    record = call.record
    return tuple(record.headers.items()) if record is not None and record.headers else None


def call_error(channel: Channel, error: Any, target: str, call: Call) -> StatusError:
    """Return the error for a ``grpc.RpcError``; an answer that is late may have left its connection full."""
    code = error.code()
    late = time.monotonic() > call.end - DEADLINE_GRACE
    if late and code is grpc.StatusCode.DEADLINE_EXCEEDED:
        channel.pending_writes.add(UNANSWERED)
    details = error.details() or ""
    return grpc_error(code.value[0], details, target, call.message_timeout, late=late, encrypted=channel.encrypted)


def goes_on(error: Any, call: Call) -> bool:
    """Return whether to send a call again at once: a server that stops has turned it away.

    gRPC does so itself where the server's GOAWAY came before the call. If the name has several addresses, the next
    connection is to another one.
    """
    if not call.may_retry or call.turned_away >= _MOST_TURNED_AWAY or time.monotonic() >= call.end:
        return False
    if not is_turned_away(error.code().value[0], error.details() or ""):
        return False
    call.turned_away += 1
    call.begin_again()
    return True


def closed_error(target: str) -> UsageError:
    """Return the error for a call on a closed client."""
    return UsageError(f"the client of {target} is closed", hint="make a new one")


def message_of(answer: bytes | None, target: str) -> bytes:
    """Return the answer's bytes; gRPC gives ``None`` for a call that went well without a message."""
    if answer is None:
        raise DataLossError(f"{target} answered without a message", hint="is it a model server?")
    return answer
