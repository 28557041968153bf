# SPDX-License-Identifier: Apache-2.0
"""The gRPC API (tensorflow_serving/apis/*.proto): Predict as bytes, the rest as protobuf messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from google.protobuf.text_format import ParseError

from tfs_deploy import protos
from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
from tfs_deploy.client.grpc.inference import (
    fill_spec,
    parse_message,
    read_inference,
    read_tasks,
    write_inference,
    write_tasks,
)
from tfs_deploy.codec import PredictReply, decode_predict_response, encode_predict_request
from tfs_deploy.codec.predict import frame_predict_request
from tfs_deploy.errors import Code, RequestError, status_error
from tfs_deploy.protos import methods
from tfs_deploy.protos.signatures import SignatureInfo, signature_infos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.client.call.inference_replies import Task, TaskReply
    from tfs_deploy.client.call.model_ref import ModelRef
    from tfs_deploy.client.call.predict_request import PredictRequest
    from tfs_deploy.codec.examples import ExampleLike


class GrpcDialect:
    """Writes requests to PredictionService and ModelService and reads the replies."""

    needs_signature = False
    metadata_age = math.inf

    def predict(self, request: PredictRequest, inputs: Mapping[str, Any]) -> Call:
        """Return the call with a PredictRequest."""
        data = encode_predict_request(request.ref.name, inputs, **request.options())
        return Call(methods.PREDICT, data)

    def frame(self, request: PredictRequest) -> tuple[bytes, ...] | None:
        """Return the bytes around the arrays of a PredictRequest."""
        return frame_predict_request(request.ref.name, request.inputs, **request.options())

    def read_predict(self, data: bytes, request: PredictRequest, signature: SignatureInfo | None) -> PredictReply:
        """Return the reply in a PredictResponse."""
        del request, signature
        return decode_predict_response(data)

    def inference(
        self,
        method: str,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        signature: str | None,
    ) -> Call:
        """Return the call with a ClassificationRequest or RegressionRequest."""
        return Call(*write_inference(method, ref, examples, context, signature))

    def read_inference(self, method: str, data: bytes, ref: ModelRef, signature: str | None) -> TaskReply:
        """Return the reply in a ClassificationResponse or RegressionResponse."""
        del ref, signature
        return read_inference(method, data)

    def tasks(
        self,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        tasks: list[Task],
    ) -> Call:
        """Return the call with a MultiInferenceRequest."""
        return Call(*write_tasks(ref, examples, context, tasks))

    def read_tasks(self, data: bytes) -> list[TaskReply]:
        """Return the replies in a MultiInferenceResponse."""
        return read_tasks(data)

    def status(self, ref: ModelRef) -> Call:
        """Return the call with a GetModelStatusRequest."""
        request = protos.GetModelStatusRequest(model_spec=_model_spec(ref))
        return Call(methods.GET_MODEL_STATUS, request.SerializeToString())

    def read_status(self, data: bytes) -> list[VersionStatus]:
        """Return the states in a GetModelStatusResponse."""
        response = parse_message(protos.GetModelStatusResponse, data)
        states = type(response.model_version_status.add()).State
        del response.model_version_status[-1]
        found = [
            VersionStatus(
                version=entry.version,
                state=states.Name(entry.state) if entry.state in states.values() else str(entry.state),
                code=_code(entry.status.error_code),
                message=entry.status.error_message,
            )
            for entry in response.model_version_status
        ]
        return sorted(found, key=lambda status: -status.version)

    def metadata(self, ref: ModelRef) -> Call:
        """Return the call with a GetModelMetadataRequest for ``signature_def``, the only field there is."""
        request = protos.GetModelMetadataRequest(model_spec=_model_spec(ref), metadata_field=["signature_def"])
        return Call(methods.GET_MODEL_METADATA, request.SerializeToString())

    def read_metadata(self, data: bytes) -> ModelMetadata:
        """Return the metadata in a GetModelMetadataResponse."""
        response = parse_message(protos.GetModelMetadataResponse, data)
        definitions = parse_message(protos.SignatureDefMap, response.metadata["signature_def"].value)
        spec = response.model_spec
        version = spec.version.value if spec.HasField("version") else None
        return ModelMetadata(spec.name, version, signature_infos(definitions.signature_def))

    def reload(self, config: Any) -> Call:
        """Return the call with a ReloadConfigRequest, from a ModelServerConfig as a message or in text format."""
        request = protos.ReloadConfigRequest(config=_server_config(config))
        return Call(methods.RELOAD_CONFIG, request.SerializeToString())

    def read_reload(self, data: bytes) -> None:
        """Raise the error in ``ReloadConfigResponse.status``, if there is one."""
        status = parse_message(protos.ReloadConfigResponse, data).status
        if status.error_code:
            raise status_error(status.error_code, status.error_message)


def _model_spec(ref: ModelRef) -> Any:
    spec = protos.ModelSpec()
    fill_spec(spec, ref)
    return spec


def _code(number: int) -> Code:
    try:
        return Code(number)
    except ValueError:
        return Code.UNKNOWN


def _server_config(config: Any) -> Any:
    if isinstance(config, str):
        try:
            return protos.parse_text(config, protos.ModelServerConfig())
        except ParseError as error:
            raise RequestError(f"the configuration is not a valid ModelServerConfig: {error}") from error
    if getattr(getattr(config, "DESCRIPTOR", None), "full_name", "") != "tensorflow.serving.ModelServerConfig":
        raise RequestError(
            f"the configuration must be a ModelServerConfig, not {type(config).__name__}",
            hint="give a ModelServerConfig message, or one in protobuf text format",
        )
    # the message may be of one of tensorflow-serving-api's own classes
    return protos.ModelServerConfig.FromString(config.SerializeToString())
