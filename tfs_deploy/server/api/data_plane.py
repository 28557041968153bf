"""Answers requests given as plain values; the gRPC and REST adapters translate to and from these functions.

Every failure is a ``StatusError`` with the server's code and text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.codec import PredictCall, decode_predict_request, encode_predict_response
from tfs_deploy.errors import DataLossError, InvalidArgumentError, NotFoundError, StatusError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, DEFAULT_SIGNATURE
from tfs_deploy.server.inference.examples import (
    classification_result,
    classify_tensors,
    example_count,
    find_signature,
    regress_tensors,
    regression_result,
    run_multi,
    serialized_examples,
)
from tfs_deploy.server.inference.predict import check_predict_method, complete_inputs, predict_signature, run_predict
from tfs_deploy.server.inference.servable import ModelServable, ServedSignature

if TYPE_CHECKING:
    from tfs_deploy.server.metrics import ServerMetrics
    from tfs_deploy.server.models.core import ServerCore
    from tfs_deploy.server.models.states import VersionState

Array = np.ndarray[Any, Any]

_METADATA_FIELD = "signature_def"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a request says of the model: its name and at most one of version and label."""

    name: str
    version: int | None = None
    label: str | None = None
    signature: str = ""

    @classmethod
    def from_message(cls, message: Any) -> ModelSpec:
        """Read a ModelSpec message."""
        choice = message.WhichOneof("version_choice")
        return cls(
            name=message.name,
            version=message.version.value if choice == "version" else None,
            label=message.version_label if choice == "version_label" else None,
            signature=message.signature_name,
        )


class DataPlane:
    """The server's methods over a core."""

    def __init__(
        self, core: ServerCore, metrics: ServerMetrics, *, tensor_content: bool = False, check_method: bool = False
    ) -> None:
        self.core = core
        self.metrics = metrics
        self._tensor_content = tensor_content
        self._check_method = check_method

    def servable(self, spec: ModelSpec) -> tuple[int, ModelServable]:
        """Return the version and the servable that a request is for."""
        version, servable = self.core.find(spec.name, spec.version, spec.label)
        assert isinstance(servable, ModelServable)
        return version, servable

    def predict(self, request: list[bytes], timeout: float | None) -> bytes:
        """Answer a serialized PredictRequest with a serialized PredictResponse; the hot path.

        The bytes are taken out of the list that they come in, so that a large request does not lie in memory beside
        its reply.
        """
        started = time.perf_counter()
        model = ""
        try:
            call = self._decode(request.pop())
            model = call.model
            reply = self._predict(call, timeout)
        except StatusError as error:
            self.metrics.failed(model, error.code)
            raise
        self.metrics.succeeded(model, "Predict", "GRPC", (time.perf_counter() - started) * 1e6)
        return reply

    def _decode(self, data: bytes) -> PredictCall:
        try:
            call = decode_predict_request(data)
        except DataLossError as error:
            # the client's mistake, not the server's
            raise InvalidArgumentError(error.message) from error
        except InvalidArgumentError as error:
            self._check_before_inputs(data)
            raise InvalidArgumentError(error.message) from error
        if not call.model:
            _parsed(data)
        return call

    def _predict(self, call: PredictCall, timeout: float | None) -> bytes:
        version, servable = self.core.find(call.model, call.version, call.label)
        signature = predict_signature(servable, call.signature)  # type: ignore[arg-type]
        self.check_method(signature)
        outputs = run_predict(servable, signature, call.inputs, call.output_filter, timeout)  # type: ignore[arg-type]
        call.inputs.clear()
        return encode_predict_response(
            outputs,
            model=call.model,
            version=version,
            signature=call.signature or DEFAULT_SIGNATURE,
            tensor_content=self._tensor_content,
        )

    def check_method(self, signature: ServedSignature) -> None:
        """Refuse to predict with a signature of another API, if that is asked for."""
        if self._check_method:
            check_predict_method(signature)

    def _check_before_inputs(self, data: bytes) -> None:
        """Raise what the server would report before it looks at a tensor that cannot be read."""
        request = _parsed(data)
        _, servable = self.servable(ModelSpec.from_message(request.model_spec))
        signature = predict_signature(servable, request.model_spec.signature_name)
        self.check_method(signature)
        if request.inputs.keys() != signature.inputs.keys():
            complete_inputs(signature, dict(request.inputs))

    def classify(self, spec: ModelSpec, examples: Any, timeout: float | None) -> Any:
        """Classify an Input message; returns a ClassificationResponse (classification_service.cc)."""
        version, servable = self.servable(spec)
        signature = find_signature(servable, spec.signature)
        tensor, outputs = classify_tensors(signature, check_method=self._check_method)
        array = serialized_examples(examples)
        results = servable.run({tensor: array}, list(outputs.values()), api="Classify", timeout=timeout)
        self.metrics.observe_examples(spec.name, len(array))
        response = protos.ClassificationResponse()
        response.result.CopyFrom(classification_result(len(array), dict(zip(outputs, results, strict=True))))
        _fill_spec(response.model_spec, spec, version)
        return response

    def regress(self, spec: ModelSpec, examples: Any, timeout: float | None) -> Any:
        """Regress an Input message; returns a RegressionResponse (regression_service.cc)."""
        version, servable = self.servable(spec)
        signature = find_signature(servable, spec.signature)
        tensor, outputs = regress_tensors(signature, check_method=self._check_method)
        array = serialized_examples(examples)
        results = servable.run({tensor: array}, list(outputs.values()), api="Regress", timeout=timeout)
        self.metrics.observe_examples(spec.name, len(array))
        response = protos.RegressionResponse()
        response.result.CopyFrom(regression_result(len(array), results[0]))
        _fill_spec(response.model_spec, spec, version)
        return response

    def multi_inference(self, request: Any, timeout: float | None) -> Any:
        """Answer a MultiInferenceRequest; the first task's ModelSpec chooses the version for all."""
        first = ModelSpec.from_message(request.tasks[0].model_spec) if request.tasks else ModelSpec("")
        version, servable = self.servable(first)
        results = run_multi(servable, request.tasks, request.input, timeout, check_method=self._check_method)
        self.metrics.observe_examples(first.name, example_count(request.input))
        response = protos.MultiInferenceResponse()
        for task, result in zip(request.tasks, results, strict=True):
            entry = response.results.add()
            _fill_spec(entry.model_spec, ModelSpec.from_message(task.model_spec), version)
            kind = "classification_result" if task.method_name == CLASSIFY_METHOD else "regression_result"
            getattr(entry, kind).CopyFrom(result)
        return response

    def metadata(self, request: Any) -> Any:
        """Answer a GetModelMetadataRequest (servables/tensorflow/get_model_metadata_impl.cc)."""
        if not request.HasField("model_spec"):
            raise InvalidArgumentError("Missing ModelSpec")
        if not request.metadata_field:
            raise InvalidArgumentError("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != _METADATA_FIELD:
                raise InvalidArgumentError(f"Metadata field {name} is not supported")
        spec = ModelSpec.from_message(request.model_spec)
        version, servable = self.servable(spec)
        response = protos.GetModelMetadataResponse()
        response.model_spec.name = spec.name
        response.model_spec.version.value = version
        response.metadata[_METADATA_FIELD].Pack(signature_map(servable))
        return response

    def status(self, spec: ModelSpec) -> list[VersionState]:
        """List the states of a model's versions, or of one; labels are ignored (get_model_status_impl.cc)."""
        if spec.version is not None:
            state = self.core.states.version(spec.name, spec.version)
            if state is None:
                raise NotFoundError(f"Could not find version {spec.version} of model {spec.name}")
            return [state]
        states = self.core.states.versions(spec.name)
        if not states:
            raise NotFoundError(f"Could not find any versions of model {spec.name}")
        return states

    def status_message(self, request: Any) -> Any:
        """Answer a GetModelStatusRequest."""
        if not request.HasField("model_spec"):
            raise InvalidArgumentError("Missing ModelSpec")
        response = protos.GetModelStatusResponse()
        for state in self.status(ModelSpec.from_message(request.model_spec)):
            entry = response.model_version_status.add(version=state.id.version, state=int(state.state))
            entry.status.SetInParent()
            if state.error is not None:
                entry.status.error_code = int(state.error.code)
                entry.status.error_message = state.error.message
        return response

    def reload(self, request: Any) -> Any:
        """Answer a ReloadConfigRequest (model_servers/model_service_impl.cc)."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise InvalidArgumentError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                "currently supported"
            )
        before = [self.metrics.value(name) for name in request.metric_names]
        self.core.reload(request.config)
        response = protos.ReloadConfigResponse()
        response.status.SetInParent()
        for name, value in zip(request.metric_names, before, strict=True):
            response.metric.add(name=name, int64_value_increase=self.metrics.value(name) - value)
        return response


def _parsed(data: bytes) -> Any:
    """Parse a PredictRequest whole; refuses one without a ModelSpec."""
    try:
        request = protos.PredictRequest.FromString(data)
    except DecodeError as error:
        raise InvalidArgumentError("not a PredictRequest") from error
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return request


def required_spec(request: Any) -> ModelSpec:
    """Read the ModelSpec of a Classify or Regress request."""
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return ModelSpec.from_message(request.model_spec)


def _fill_spec(message: Any, spec: ModelSpec, version: int) -> None:
    message.name = spec.name
    message.version.value = version
    message.signature_name = spec.signature or DEFAULT_SIGNATURE


def signature_map(servable: ModelServable) -> Any:
    """Return all SignatureDefs of a servable as a SignatureDefMap."""
    message = protos.SignatureDefMap()
    for name, definition in servable.signature_defs.items():
        message.signature_def[name].CopyFrom(definition)
    return message
