# SPDX-License-Identifier: Apache-2.0
"""tensorflow.serving.PredictionService over the data plane (apis/prediction_service.proto)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.codec import PredictCall, decode_predict_request, encode_predict_response
from tfs_deploy.errors import Code, DataLossError, InvalidArgumentError, StatusError
from tfs_deploy.protos import methods
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE
from tfs_deploy.runtime.session import release_memory
from tfs_deploy.server.data_plane import DataPlane, ModelSpec
from tfs_deploy.server.grpc.handlers import Answer, MessageAnswer, bytes_handler, message_handler, seconds_left
from tfs_deploy.server.grpc.model_spec import fill_spec, read_spec, required_spec

if TYPE_CHECKING:
    from tfs_deploy.server.workers import CallLimit

#: bytes of a request whose memory is given back at once, not kept for the next one
LARGE_REQUEST: Final = 1 << 22

_METADATA_FIELD: Final = "signature_def"


def prediction_service(
    data_plane: DataPlane, gate: CallLimit | None, *, tensor_content: bool = False
) -> grpc.GenericRpcHandler:
    """Return the service's handler; ``tensor_content`` is --enable_serialization_as_tensor_content."""
    predict = predict_answer(data_plane, tensor_content=tensor_content)
    return grpc.method_handlers_generic_handler(
        methods.PREDICTION_SERVICE,
        {
            "Predict": bytes_handler(predict, gate, consume_request=True),
            "Classify": message_handler(protos.ClassificationRequest, _classify(data_plane), gate),
            "Regress": message_handler(protos.RegressionRequest, _regress(data_plane), gate),
            "MultiInference": message_handler(protos.MultiInferenceRequest, _multi_inference(data_plane), gate),
            "GetModelMetadata": message_handler(protos.GetModelMetadataRequest, _metadata(data_plane), gate),
        },
    )


def predict_answer(data_plane: DataPlane, *, tensor_content: bool = False) -> Answer:
    """Return what answers Predict: a list with the request's bytes, which it empties, and a context; the hot path."""
    metrics = data_plane.metrics

    def predict(request: list[bytes], context: grpc.ServicerContext) -> bytes:
        if len(request[0]) > LARGE_REQUEST:
            # what gRPC received it in is free now, in pieces that would stay around
            release_memory()
        timeout = seconds_left(context)
        started = time.perf_counter()
        model = ""
        try:
            # neither the bytes nor the arrays of a large request lie in memory beside its reply
            call = _decode(data_plane, request.pop())
            model = call.model
            version, outputs = data_plane.predict(call, timeout)
            call.inputs.clear()
            reply = encode_predict_response(
                outputs,
                model=model,
                version=version,
                signature=call.signature or DEFAULT_SIGNATURE,
                tensor_content=tensor_content,
            )
        except Exception as error:
            metrics.failed(model, _code(error))
            raise
        metrics.succeeded(model, "Predict", "GRPC", (time.perf_counter() - started) * 1e6)
        return reply

    return predict


def _decode(data_plane: DataPlane, data: bytes) -> PredictCall:
    """Return the call of a serialized PredictRequest."""
    try:
        call = decode_predict_request(data)
    except DataLossError as error:
        # the client's mistake, not the server's
        raise InvalidArgumentError(error.message) from error
    except InvalidArgumentError as error:
        data_plane.check_predict(_call_without_values(data))
        raise InvalidArgumentError(error.message) from error
    if not call.model:
        _parse_predict_request(data)
    return call


def _call_without_values(data: bytes) -> PredictCall:
    """Return the call of a request with a tensor that cannot be read: what the server looks at before its tensors."""
    request = _parse_predict_request(data)
    spec = required_spec(request)
    return PredictCall(spec.name, spec.signature, spec.version, spec.label, dict(request.inputs))


def _parse_predict_request(data: bytes) -> Any:
    """Return a PredictRequest message; refuses one without a ModelSpec."""
    try:
        request = protos.PredictRequest.FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError("not a PredictRequest") from error
    required_spec(request)
    return request


def _classify(data_plane: DataPlane) -> MessageAnswer:
    def classify(request: Any, timeout: float | None) -> Any:
        with _measured(data_plane, "Classify", request.model_spec.name):
            spec = required_spec(request)
            version, result = data_plane.classify(spec, request.input, timeout)
            response = protos.ClassificationResponse(result=result)
            fill_spec(response.model_spec, spec, version)
            return response

    return classify


def _regress(data_plane: DataPlane) -> MessageAnswer:
    def regress(request: Any, timeout: float | None) -> Any:
        with _measured(data_plane, "Regress", request.model_spec.name):
            spec = required_spec(request)
            version, result = data_plane.regress(spec, request.input, timeout)
            response = protos.RegressionResponse(result=result)
            fill_spec(response.model_spec, spec, version)
            return response

    return regress


def _multi_inference(data_plane: DataPlane) -> MessageAnswer:
    def multi_inference(request: Any, timeout: float | None) -> Any:
        specs = [read_spec(task.model_spec) for task in request.tasks]
        # the first task's ModelSpec chooses the version for all
        first = specs[0] if specs else ModelSpec("")
        version, results = data_plane.multi_inference(first, request.tasks, request.input, timeout)
        response = protos.MultiInferenceResponse()
        for task, spec, result in zip(request.tasks, specs, results, strict=True):
            entry = response.results.add()
            fill_spec(entry.model_spec, spec, version)
            kind = "classification_result" if task.method_name == CLASSIFY_METHOD else "regression_result"
            getattr(entry, kind).CopyFrom(result)
        return response

    return multi_inference


def _metadata(data_plane: DataPlane) -> MessageAnswer:
    """Answer GetModelMetadata (servables/tensorflow/get_model_metadata_impl.cc)."""

    def metadata(request: Any, _timeout: float | None) -> Any:
        spec = required_spec(request)
        if not request.metadata_field:
            raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != _METADATA_FIELD:
                raise InvalidArgumentError(f"Metadata field {name} is not supported")
        version, servable = data_plane.find(spec.name, spec.version, spec.label)
        signatures = protos.SignatureDefMap()
        for name, definition in servable.signature_defs.items():
            signatures.signature_def[name].CopyFrom(definition)
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        response.metadata[_METADATA_FIELD].Pack(signatures)
        return response

    return metadata


@contextlib.contextmanager
def _measured(data_plane: DataPlane, api: str, model: str) -> Iterator[None]:
    """Count a request, and measure one that is answered."""
    started = time.perf_counter()
    try:
        yield
    except Exception as error:
        data_plane.metrics.failed(model, _code(error))
        raise
    data_plane.metrics.succeeded(model, api, "GRPC", (time.perf_counter() - started) * 1e6)


def _code(error: Exception) -> Code:
    return error.code if isinstance(error, StatusError) else Code.INTERNAL
