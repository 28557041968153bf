"""The gRPC client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.client_base import ClientBase
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.grpc.target import grpc_target
from tfs_deploy.client.grpc.transport import GrpcTransport
from tfs_deploy.client.options import make_grpc_settings
from tfs_deploy.client.transport.addresses import split_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.options import GrpcOptions


class Client(ClientBase):
    """Calls TensorFlow Serving over gRPC; safe to share between threads and usable in a forked child.

    Args:
        target: ``HOST:PORT`` (a bare host means port 8500), ``unix:PATH`` or any gRPC target; ``dns:///HOST:PORT``
            spreads calls over all addresses of a name. For several servers give a sequence, or text with commas: calls
            go to them in turn, and failing servers are left out for a while.
        options: see ``options.Settings`` and ``options.GrpcSettings``: ``timeout``, ``attempt_timeout``, ``retries``,
            ``hedge_after``, ``check``, ``signature``, ``label``, ``version``, ``headers``, ``token``, ``tls``,
            ``compression``, ``hooks``, ``credentials``, ``call_credentials``, ``keepalive``, and gRPC channel arguments
            as ``options``.
    """

    def __init__(self, target: str | Sequence[str], **options: Unpack[GrpcOptions]) -> None:
        settings = make_grpc_settings(options)
        targets = [grpc_target(each) for each in split_addresses(target)]
        transports = [GrpcTransport(each, settings) for each in targets]
        super().__init__(GrpcDialect(), transports, settings, transport_name="grpc")
        self._target = ",".join(targets)

    def __repr__(self) -> str:
        return f"Client({self._target!r})"
