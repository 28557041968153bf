# SPDX-License-Identifier: Apache-2.0
"""The asynchronous gRPC client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.async_client_base import AsyncClientBase
from tfs_deploy.client.grpc.async_transport import AsyncGrpcTransport
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.grpc.target import grpc_target
from tfs_deploy.client.options import make_grpc_settings
from tfs_deploy.client.transport.addresses import split_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.options import GrpcOptions


class AsyncClient(AsyncClientBase):
    """Calls TensorFlow Serving over gRPC from coroutines; its arguments mean what they do for ``Client``.

    Each event loop that the client is used in has a channel of its own, which is closed with the loop.

    Args:
        target: ``HOST:PORT``, ``unix:PATH`` or any gRPC target; a sequence, or text with commas, for several servers.
        timeout: seconds that a call may take, including all its attempts (default 10).
        attempt_timeout: seconds that one attempt may take; ``None`` = as long as the call.
        retries: a ``Retries``, or the number of attempts; 1 = no retries.
        hedge_after: seconds after which a request is sent a second time and the first answer taken; ``None`` = never.
        check: check inputs against the server's metadata before sending (default ``True``).
        signature, label, version: defaults for calls that name none.
        headers: sent with every call.
        token: sent as ``authorization: Bearer TOKEN``; a function is called before every call.
        tls: ``True`` = TLS with the system's certificate authorities, or a ``Tls``.
        compression: ``"gzip"`` compresses requests and accepts compressed replies.
        max_reply: bytes that a reply may have, unpacked; a larger one is a ``ResourceExhaustedError``.
        hooks: observe every call.
        credentials: ``grpc.ChannelCredentials``, instead of ``tls``.
        call_credentials: ``grpc.CallCredentials``, called before every call; they need TLS.
        keepalive: seconds between pings while calls are in progress.
        options: more gRPC channel arguments, pairs of name and value, which replace the client's own.
    """

    def __init__(self, target: str | Sequence[str], **options: Unpack[GrpcOptions]) -> None:
        settings = make_grpc_settings(options)
        targets = [grpc_target(each) for each in split_addresses(target)]
        transports = [AsyncGrpcTransport(each, settings) for each in targets]
        super().__init__(GrpcDialect(), transports, settings, transport_name="grpc")
        self._target = ",".join(targets)

    def __repr__(self) -> str:
        return f"AsyncClient({self._target!r})"
