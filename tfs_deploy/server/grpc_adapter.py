"""gRPC: bytes in, bytes out; what a request means is the data plane's business."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TYPE_CHECKING

import grpc

from tfs_deploy import protos
from tfs_deploy.errors import Code, EnvironmentFault, StatusError
from tfs_deploy.protos import methods

if TYPE_CHECKING:
    from tfs_deploy.server.dataplane import DataPlane

_log = logging.getLogger(__name__)

#: texts are cut here (model_servers/grpc_status_util.cc)
_MAX_TEXT: Final = 1024
_CUT: Final = "...TRUNCATED"
#: gRPC reports calls without a deadline as due in centuries
_NO_DEADLINE_SECONDS: Final = 1e7
_CODES: Final = {Code(code.value[0]): code for code in grpc.StatusCode}

Handler = Callable[[bytes, Any], bytes]


class GrpcServer:
    """The two services on a port.

    Args:
        dataplane: answers.
        threads: requests worked on at a time.
        options: channel arguments.
    """

    def __init__(self, dataplane: DataPlane, *, threads: int, options: Sequence[tuple[str, Any]] = ()) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            handlers=[_prediction_service(dataplane), _model_service(dataplane)],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                *options,
            ],
        )

    def listen(self, address: str) -> int:
        """Take a port; returns its number.

        Raises:
            EnvironmentFault: the address cannot be used.
        """
        try:
            return int(self._server.add_insecure_port(address))
        except RuntimeError as error:
            raise EnvironmentFault(f"gRPC cannot listen on {address}: {error}") from error

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self, grace: float) -> None:
        """Refuse new calls, let those in flight end within ``grace`` seconds."""
        self._server.stop(grace).wait()


def _prediction_service(dataplane: DataPlane) -> grpc.GenericRpcHandler:
    def predict(request: bytes, context: grpc.ServicerContext) -> bytes:
        remaining = context.time_remaining()
        timeout = None if remaining is None or remaining > _NO_DEADLINE_SECONDS else remaining
        return dataplane.predict(request, timeout)

    return grpc.method_handlers_generic_handler(
        methods.PREDICTION_SERVICE,
        {
            "Predict": _raw(predict),
            "GetModelMetadata": _message(protos.GetModelMetadataRequest, dataplane.metadata),
        },
    )


def _model_service(dataplane: DataPlane) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        methods.MODEL_SERVICE,
        {
            "GetModelStatus": _message(protos.GetModelStatusRequest, dataplane.status_message),
            "HandleReloadConfigRequest": _message(protos.ReloadConfigRequest, dataplane.reload),
        },
    )


def _raw(handler: Handler) -> grpc.RpcMethodHandler:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return handler(request, context)
        except StatusError as error:
            context.abort(_CODES[error.code], _cut(error.message))
            raise

    return grpc.unary_unary_rpc_method_handler(answer)


def _message(kind: Any, handler: Callable[[Any], Any]) -> grpc.RpcMethodHandler:
    def answer(request: bytes, _context: grpc.ServicerContext) -> bytes:
        data: bytes = handler(kind.FromString(request)).SerializeToString()
        return data

    return _raw(answer)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + _CUT
