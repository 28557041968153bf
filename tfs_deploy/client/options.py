"""The options that every client takes, and those of gRPC."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

from tfs_deploy.client.call.retries import NEVER, Retries
from tfs_deploy.errors import RequestError, UsageError

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import Hook
    from tfs_deploy.client.tls import Tls

DEFAULT_TIMEOUT: Final = 10.0


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
    hooks: Sequence[Hook]


class GrpcOptions(Options, total=False):
    """Keyword arguments of the gRPC clients; see ``GrpcSettings``."""

    credentials: Any | None
    call_credentials: Any | None
    keepalive: float | None
    options: Sequence[tuple[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What a client does unless a call says otherwise.

    Attributes:
        timeout: seconds that a call may take, with all its attempts.
        attempt_timeout: seconds that one attempt may take; ``None``: as long as the call.
        retries: a ``Retries``, or the number of attempts; 1 = none is made again.
        hedge_after: seconds after which a second, equal request is sent and the first answer taken; ``None``: never.
            Worth it with several servers; it doubles the work on slow ones.
        check: compare inputs with the server's metadata before sending.
        signature, label, version: used by calls that name none.
        headers: sent along with every call.
        token: sent as ``authorization: Bearer TOKEN``; a function is asked before every call.
        tls: ``True`` = TLS with the system's authorities, or a ``Tls``.
        compression: ``"gzip"`` compresses what is sent, and accepts compressed answers.
        hooks: told of every call.
    """

    timeout: float = DEFAULT_TIMEOUT
    attempt_timeout: float | None = None
    retries: Retries = dataclasses.field(default_factory=Retries)
    hedge_after: float | None = None
    check: bool = True
    signature: str | None = None
    label: str | None = None
    version: int | None = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    token: str | Callable[[], str] | None = None
    tls: Tls | None = None
    compression: str | None = None
    hooks: tuple[Hook, ...] = ()

    def __post_init__(self) -> None:
        for name in ("timeout", "attempt_timeout", "hedge_after"):
            check_seconds(name, getattr(self, name))
        if self.label is not None and self.version is not None:
            raise RequestError("a request names a version or a label, not both", hint="drop one of the two")
        if self.compression not in (None, "gzip"):
            raise UsageError(f"compression {self.compression!r} is unknown", hint='use "gzip", or None')


@dataclasses.dataclass(frozen=True, slots=True)
class GrpcSettings(Settings):
    """``Settings``, and what only gRPC has.

    Attributes:
        credentials: ``grpc.ChannelCredentials`` in the place of ``tls``.
        call_credentials: ``grpc.CallCredentials``, asked before every call; needs TLS.
        keepalive: seconds between pings while calls are under way; shorter than 300 s needs a server that allows it
            (``grpc.http2.min_ping_interval_without_data_ms``), others close the connection.
        options: more gRPC channel arguments, which win over the client's own.
    """

    credentials: Any | None = None
    call_credentials: Any | None = None
    keepalive: float | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        # zero-argument super() does not know the class that slots=True makes anew
        Settings.__post_init__(self)
        check_seconds("keepalive", self.keepalive)
        if self.credentials is not None and self.tls is not None:
            raise UsageError("both credentials and tls are given", hint="drop one of the two")
        if self.call_credentials is not None and self.credentials is None and self.tls is None:
            raise UsageError("call_credentials need an encrypted connection", hint="add tls=True, or use token=...")


def settings_of(given: Options) -> Settings:
    """Return the settings of a REST client."""
    return Settings(**_shorthands(given))


def grpc_settings_of(given: GrpcOptions) -> GrpcSettings:
    """Return the settings of a gRPC client."""
    return GrpcSettings(**_shorthands(given))


def check_seconds(name: str, value: float | None) -> None:
    """Raise a ``RequestError`` unless a time is a finite number greater than 0, or ``None`` where there is none."""
    if value is None and name != "timeout":
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise RequestError(f"the {name} is {value} s", hint="give a number of seconds greater than 0")


def _shorthands(given: Mapping[str, Any]) -> dict[str, Any]:
    """Spell out what may be given briefly."""
    options = dict(given)
    retries = options.get("retries")
    if isinstance(retries, int):
        options["retries"] = Retries(attempts=retries) if retries != 1 else NEVER
    if isinstance(options.get("tls"), bool):
        options["tls"] = _default_tls() if options["tls"] else None
    for name in ("hooks", "options"):
        if name in options:
            options[name] = tuple(options[name])
    return options


def _default_tls() -> Tls:
    from tfs_deploy.client.tls import Tls

    return Tls()
