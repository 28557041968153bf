"""The gRPC client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.client.client_base import BlockingClient
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.grpc.transport import GrpcTransport, grpc_target
from tfs_deploy.client.options import grpc_settings_of
from tfs_deploy.client.transport import split_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from tfs_deploy.client.options import GrpcOptions


class Client(BlockingClient):
    """Calls TensorFlow Serving over gRPC; safe to share between threads and usable in a forked child.

    Args:
        target: ``HOST:PORT`` (a bare host means port 8500), ``unix:PATH`` or any gRPC target; ``dns:///HOST:PORT``
            spreads calls over all addresses of a name. Several, as a sequence or with commas between: calls go to
            them in turn, and servers that fail are left out for a while.
        options: see ``options.Settings`` and ``options.GrpcSettings``: ``timeout``, ``attempt_timeout``, ``retries``,
            ``hedge_after``, ``check``, ``signature``, ``label``, ``version``, ``headers``, ``token``, ``tls``,
            ``compression``, ``hooks``, ``credentials``, ``call_credentials``, ``keepalive``, and gRPC channel arguments
            as ``options``.
    """

    def __init__(self, target: str | Sequence[str], **options: Unpack[GrpcOptions]) -> None:
        settings = grpc_settings_of(options)
        targets = [grpc_target(each) for each in split_targets(target)]
        super().__init__(GrpcDialect(), [GrpcTransport(each, settings) for each in targets], settings, "grpc")
        self._target = ",".join(targets)

    def __repr__(self) -> str:
        return f"Client({self._target!r})"
