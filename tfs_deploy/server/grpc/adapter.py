"""gRPC: bytes in, bytes out; what a request means is the data plane's business."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.errors import Code, EnvironmentFault, InvalidArgumentError, StatusError
from tfs_deploy.protos import methods
from tfs_deploy.runtime.session import release_memory
from tfs_deploy.server.api.data_plane import DataPlane, required_spec
from tfs_deploy.server.grpc.health import health_service
from tfs_deploy.server.grpc.workers import Gate, WorkerPool

_log = logging.getLogger(__name__)

#: texts are cut here (model_servers/grpc_status_util.cc)
_MAX_TEXT: Final = 1024
_CUT: Final = "...TRUNCATED"
#: threads for calls that may wait for long, and those that refuse calls beyond the limit
_PATIENT_THREADS: Final = 8
_REFUSING_THREADS: Final = 2
#: gRPC reports calls without a deadline as due in centuries
_NO_DEADLINE_SECONDS: Final = 1e7
_CODES: Final = {Code(code.value[0]): code for code in grpc.StatusCode}

#: bytes of a request whose memory is given back at once, not kept for the next one
LARGE_REQUEST: Final = 1 << 22

Handler = Callable[[Any, Any], bytes]


class GrpcServer:
    """The two services on a port.

    Args:
        dataplane: answers.
        threads: requests worked on at a time; more wait their turn.
        limit: requests at a time beyond which one is refused.
        options: channel arguments.
        health: offer the standard health service too.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        *,
        threads: int,
        limit: int | None = None,
        options: Sequence[tuple[str, Any]] = (),
        health: bool = False,
    ) -> None:
        gate = None if limit is None else Gate(limit)
        # reloads and health watches may wait for long; they must not take the threads that answer
        patient = ThreadPoolExecutor(_PATIENT_THREADS, thread_name_prefix="grpc-patient")
        handlers = [_prediction_service(dataplane, gate), _model_service(dataplane, gate, patient)]
        if health:
            handlers.append(health_service(patient))
        handlers.append(_NoSuchMethod())
        self._server = grpc.server(
            WorkerPool(threads if gate is None else threads + _REFUSING_THREADS, "grpc"),
            handlers=handlers,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                *options,
            ],
        )

    def listen(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Take a port, with TLS if there are credentials; returns its number.

        Raises:
            EnvironmentFault: the address cannot be used.
        """
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError as error:
            if credentials is not None:
                raise EnvironmentFault(
                    f"gRPC cannot listen on {address} with the key and certificate of the SSL config",
                    hint="server_key and server_cert hold PEM text, not paths, and belong together",
                ) from error
            raise EnvironmentFault(
                f"gRPC cannot listen on {address}", hint="is the folder there and writable, the path short enough?"
            ) from error

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self, grace: float) -> None:
        """Refuse new calls, let those in flight end within ``grace`` seconds."""
        self._server.stop(grace).wait()


class _NoSuchMethod:
    """Refuses every method that the services before it do not have, without a text: the library here has one."""

    def __init__(self) -> None:
        # of this kind a call is refused whatever its sender means to send
        self._handler = grpc.stream_stream_rpc_method_handler(_refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the handler for a method."""
        del handler_call_details
        return self._handler


def _refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    del requests
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
    raise AssertionError  # abort has raised


def _prediction_service(dataplane: DataPlane, gate: Gate | None) -> grpc.GenericRpcHandler:
    def predict(request: list[bytes], context: grpc.ServicerContext) -> bytes:
        if len(request[0]) > LARGE_REQUEST:
            # what gRPC received it in is free now, in pieces that would stay around
            release_memory()
        return dataplane.predict(request, _timeout(context))

    def classify(request: Any, timeout: float | None) -> Any:
        with _measured(dataplane, "Classify", request.model_spec.name):
            return dataplane.classify(required_spec(request), request.input, timeout)

    def regress(request: Any, timeout: float | None) -> Any:
        with _measured(dataplane, "Regress", request.model_spec.name):
            return dataplane.regress(required_spec(request), request.input, timeout)

    def metadata(request: Any, _timeout: float | None) -> Any:
        return dataplane.metadata(request)

    return grpc.method_handlers_generic_handler(
        methods.PREDICTION_SERVICE,
        {
            "Predict": _raw(predict, gate, boxed=True),
            "Classify": _message(protos.ClassificationRequest, classify, gate),
            "Regress": _message(protos.RegressionRequest, regress, gate),
            "MultiInference": _message(protos.MultiInferenceRequest, dataplane.multi_inference, gate),
            "GetModelMetadata": _message(protos.GetModelMetadataRequest, metadata, gate),
        },
    )


def _model_service(dataplane: DataPlane, gate: Gate | None, patient: ThreadPoolExecutor) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        methods.MODEL_SERVICE,
        {
            "GetModelStatus": _message(
                protos.GetModelStatusRequest, lambda request, _timeout: dataplane.status_message(request), gate
            ),
            "HandleReloadConfigRequest": _message(
                protos.ReloadConfigRequest, lambda request, _timeout: dataplane.reload(request), None, patient
            ),
        },
    )


@contextlib.contextmanager
def _measured(dataplane: DataPlane, api: str, model: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    except StatusError as error:
        dataplane.metrics.failed(model, error.code)
        raise
    dataplane.metrics.succeeded(model, api, "GRPC", (time.perf_counter() - started) * 1e6)


def _timeout(context: grpc.ServicerContext) -> float | None:
    remaining = context.time_remaining()
    return None if remaining is None or remaining > _NO_DEADLINE_SECONDS else remaining


def _raw(
    handler: Handler, gate: Gate | None, threads: ThreadPoolExecutor | None = None, *, boxed: bool = False
) -> grpc.RpcMethodHandler:
    """Make a method of a handler of bytes, or (``boxed``) of a list with them, which the handler may empty."""

    def answer(request: Any, context: grpc.ServicerContext) -> bytes:
        try:
            if gate is None:
                return handler(request, context)
            with gate:
                return handler(request, context)
        except StatusError as error:
            code, text = _CODES[error.code], _cut(error.message)
        except Exception:  # noqa: BLE001 - only this request fails
            _log.exception("a request failed")
            code, text = grpc.StatusCode.INTERNAL, "the server failed to answer; its log has the details"
        context.abort(code, text)
        raise AssertionError  # abort has raised

    if threads is not None:
        answer.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=_box if boxed else None)


def _box(data: bytes) -> list[bytes]:
    return [data]


def _message(
    kind: Any,
    handler: Callable[[Any, float | None], Any],
    gate: Gate | None,
    threads: ThreadPoolExecutor | None = None,
) -> grpc.RpcMethodHandler:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            message = kind.FromString(request)
        except DecodeError as error:
            raise InvalidArgumentError(f"not a {kind.DESCRIPTOR.name}") from error
        data: bytes = handler(message, _timeout(context)).SerializeToString()
        return data

    return _raw(answer, gate, threads)


def _cut(text: str) -> str:
    """Cut a text at so many bytes; what is left of a character then is shown as clients show what is no UTF-8."""
    data = text.encode("utf-8", "surrogateescape")
    whole = data if len(data) <= _MAX_TEXT else data[:_MAX_TEXT] + _CUT.encode()
    return whole.decode("utf-8", "replace")
