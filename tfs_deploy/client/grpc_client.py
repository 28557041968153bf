"""The gRPC client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.client.blocking import BlockingClient
from tfs_deploy.client.core import DEFAULT_TIMEOUT, Core
from tfs_deploy.client.grpc_dialect import GrpcDialect
from tfs_deploy.client.grpc_transport import GrpcTransport

if TYPE_CHECKING:
    from collections.abc import Sequence


class Client(BlockingClient):
    """Calls TensorFlow Serving over gRPC; safe to share between threads and usable in a forked child.

    Args:
        target: ``HOST:PORT`` (a bare host means port 8500), ``unix:PATH`` or any gRPC target.
        timeout: seconds that a call may take unless it says otherwise.
        check: compare inputs with the server's metadata before sending.
        credentials: ``grpc.ssl_channel_credentials(...)`` for TLS; none = plain text.
        options: more gRPC channel arguments, which win over the client's own.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        check: bool = True,
        credentials: Any | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._core = Core(GrpcDialect(), timeout=timeout, check=check)
        self._transport: GrpcTransport = GrpcTransport(target, credentials, options)

    def __repr__(self) -> str:
        return f"Client({self._transport.target!r})"
