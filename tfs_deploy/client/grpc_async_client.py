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
    """Calls TensorFlow Serving over gRPC from coroutines; takes the arguments of ``Client``.

    Each event loop that the client is used in has a channel of its own, which is closed with the loop.
    """

    def __init__(self, target: str | Sequence[str], **options: Unpack[GrpcOptions]) -> None:
        settings = make_grpc_settings(options)
        targets = [grpc_target(each) for each in split_addresses(target)]
        transports = [AsyncGrpcTransport(each, settings) for each in targets]
        super().__init__(GrpcDialect(), transports, settings, transport_name="grpc")
        self._target = ",".join(targets)

    def __repr__(self) -> str:
        return f"AsyncClient({self._target!r})"
