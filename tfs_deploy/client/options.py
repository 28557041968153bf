# SPDX-License-Identifier: Apache-2.0
"""The options of every client, and those of the gRPC clients."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Final, TypedDict

from tfs_deploy.client.call.retries import NO_RETRIES, Retries
from tfs_deploy.errors import RequestError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tfs_deploy.client.hooks.hook import Hook
    from tfs_deploy.client.tls import Tls

DEFAULT_TIMEOUT: Final = 10.0
DEFAULT_MAX_REPLY: Final = 512 << 20
#: the largest message of protobuf, and of gRPC
_LARGEST: Final = 2**31 - 1


class Options(TypedDict, total=False):
    """Keyword arguments of every client; see ``Settings``."""

    timeout: float
    attempt_timeout: float | None
    retries: Retries | int
    hedge_after: float | None
    check: bool
    signature: str | None
    label: str | None
    version: int | None
    headers: Mapping[str, str]
    token: str | Callable[[], str] | None
    tls: Tls | bool
    compression: str | None
    max_reply: int
    hooks: Sequence[Hook]


class GrpcOptions(Options, total=False):
    """Keyword arguments of the gRPC clients; see ``GrpcSettings``."""

    credentials: Any | None
    call_credentials: Any | None
    keepalive: float | None
    options: Sequence[tuple[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a client; a call may override some of them.

    Attributes:
        timeout: seconds that a call may take, including all its attempts.
        attempt_timeout: seconds that one attempt may take; ``None`` = as long as the call.
        retries: a ``Retries``, or the number of attempts; 1 = no retries.
        hedge_after: seconds after which the request is sent a second time and the first answer taken; ``None`` = never.
            It pays with several servers; it doubles the load on slow ones.
        check: check inputs against the server's metadata before sending.
        signature, label, version: defaults for calls that name none.
        headers: sent with every call; they and the token are not in ``repr``.
        token: sent as ``authorization: Bearer TOKEN``; a function is called before every call.
        tls: ``True`` = TLS with the system's certificate authorities, or a ``Tls``.
        compression: ``"gzip"`` compresses requests and accepts compressed replies.
        max_reply: bytes that a reply may have, unpacked; a larger one is a ``ResourceExhaustedError``.
        hooks: observe every call.
    """

    timeout: float = DEFAULT_TIMEOUT
    attempt_timeout: float | None = None
    retries: Retries = dataclasses.field(default_factory=Retries)
    hedge_after: float | None = None
    check: bool = True
    signature: str | None = None
    label: str | None = None
    version: int | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    token: str | Callable[[], str] | None = dataclasses.field(default=None, repr=False)
    tls: Tls | None = None
    compression: str | None = None
    max_reply: int = DEFAULT_MAX_REPLY
    hooks: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        for name in ("timeout", "attempt_timeout", "hedge_after"):
            check_seconds(name, getattr(self, name))
        if self.label is not None and self.version is not None:
            raise RequestError("a request names a version or a label, not both", hint="drop one of the two")
        if self.compression not in (None, "gzip"):
            raise UsageError(f"unknown compression: {self.compression!r}", hint='use "gzip", or None')
        if type(self.max_reply) is not int or not 0 < self.max_reply <= _LARGEST:
            raise UsageError(f"not a valid max_reply: {self.max_reply!r}", hint=f"give bytes, {_LARGEST} at most")


@dataclasses.dataclass(frozen=True, slots=True)
class GrpcSettings(Settings):
    """``Settings``, and those that only gRPC has.

    Attributes:
        credentials: ``grpc.ChannelCredentials``, instead of ``tls``.
        call_credentials: ``grpc.CallCredentials``, called before every call; they need TLS.
        keepalive: seconds between pings while calls are in progress; a server closes the connection on intervals below
            300 s unless it allows them (``grpc.http2.min_ping_interval_without_data_ms``).
        options: more gRPC channel arguments, which override the client's own.
    """

    credentials: Any | None = None
    call_credentials: Any | None = None
    keepalive: float | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        # zero-argument super() does not know the new class that slots=True makes
        Settings.__post_init__(self)
        check_seconds("keepalive", self.keepalive)
        if self.credentials is not None and self.tls is not None:
            raise UsageError("both credentials and tls are given", hint="drop one of the two")
        if self.call_credentials is not None and self.credentials is None and self.tls is None:
            raise UsageError("call_credentials need an encrypted connection", hint="add tls=True, or use token=...")


def make_settings(options: Options) -> Settings:
    """Return the settings of a REST client."""
    return Settings(**_without_shorthands(options))


def make_grpc_settings(options: GrpcOptions) -> GrpcSettings:
    """Return the settings of a gRPC client."""
    return GrpcSettings(**_without_shorthands(options))


def check_seconds(name: str, value: float | None) -> None:
    """Raise a ``RequestError`` unless a time is a finite number greater than 0, or ``None`` where that is allowed."""
    if value is None and name != "timeout":
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise RequestError(f"not a valid {name}: {value} s", hint="give a number of seconds greater than 0")


def _without_shorthands(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with shorthands replaced, such as a number for ``retries`` or ``True`` for ``tls``."""
    options = dict(given)
    retries = options.get("retries")
    if isinstance(retries, int):
        options["retries"] = Retries(attempts=retries) if retries != 1 else NO_RETRIES
    if isinstance(options.get("tls"), bool):
        options["tls"] = _default_tls() if options["tls"] else None
    for name in ("hooks", "options"):
        if name in options:
            options[name] = tuple(options[name])
    return options


def _default_tls() -> Tls:
    from tfs_deploy.client.tls import Tls

    return Tls()
