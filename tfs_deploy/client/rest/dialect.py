# SPDX-License-Identifier: Apache-2.0
"""The REST API (g3doc/api_rest.md, model_servers/http_rest_api_handler.cc): paths, bodies and replies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from google.protobuf.json_format import ParseDict, ParseError

from tfs_deploy import protos
from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
from tfs_deploy.client.rest.inference import read_inference_body, write_inference_body
from tfs_deploy.codec import PredictReply
from tfs_deploy.codec.json.client import decode_predict_body, encode_predict_body, parse_json
from tfs_deploy.errors import Code, DataLossError, UnimplementedError
from tfs_deploy.protos.signatures import SignatureInfo, signature_infos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.client.call.inference_replies import Task, TaskReply
    from tfs_deploy.client.call.model_ref import ModelRef
    from tfs_deploy.client.call.predict_request import PredictRequest
    from tfs_deploy.codec.examples import ExampleLike

_METADATA_AGE: Final = 5.0


class RestDialect:
    """Writes requests to ``/v1/models`` and reads the replies."""

    needs_signature = True
    #: replies do not name the version, so the signatures of an unpinned model are requested again now and then
    metadata_age = _METADATA_AGE

    def predict(self, request: PredictRequest, inputs: Mapping[str, Any]) -> Call:
        """Return the call for a columnar ``:predict``; the API has no output filter, so the reply is filtered."""
        body = encode_predict_body(inputs, signature=request.signature)
        return Call(f"{model_path(request.ref)}:predict", body)

    def frame(self, request: PredictRequest) -> tuple[bytes, ...] | None:
        """Return ``None``: JSON does not hold the arrays' memory."""
        del request
        return None

    def read_predict(self, data: bytes, request: PredictRequest, signature: SignatureInfo | None) -> PredictReply:
        """Return the reply to a columnar ``:predict``."""
        if signature is None:
            raise DataLossError("a REST reply cannot be read without the signature's dtypes")
        outputs = decode_predict_body(data, signature.outputs)
        if request.output_filter:
            outputs = {name: outputs[name] for name in request.output_filter}
        ref = request.ref
        return PredictReply(outputs, model=ref.name, version=ref.version, signature=signature.name)

    def inference(
        self,
        method: str,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        signature: str | None,
    ) -> Call:
        """Return the call for a ``:classify`` or ``:regress``."""
        return Call(f"{model_path(ref)}:{method}", write_inference_body(examples, context, signature))

    def read_inference(self, method: str, data: bytes, ref: ModelRef, signature: str | None) -> TaskReply:
        """Return the reply to a ``:classify`` or ``:regress``."""
        return read_inference_body(method, data, ref, signature)

    def tasks(
        self,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        tasks: list[Task],
    ) -> Call:
        """Raise an ``UnimplementedError``: the REST API has no MultiInference."""
        del ref, examples, context, tasks
        raise UnimplementedError(
            "the REST API does not support multi_inference",
            hint="call classify and regress, or use Client on the gRPC port",
        )

    def read_tasks(self, data: bytes) -> list[TaskReply]:
        """Return nothing: the REST API has no such reply."""
        del data
        return []

    def status(self, ref: ModelRef) -> Call:
        """Return the call for ``model_version_status``."""
        return Call(model_path(ref), None)

    def read_status(self, data: bytes) -> list[VersionStatus]:
        """Return the states in ``model_version_status``."""
        try:
            found = [_version_status(entry) for entry in parse_json(data)["model_version_status"]]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataLossError(f"the reply is not a valid model status: {error!r}") from error
        return sorted(found, key=lambda status: -status.version)

    def metadata(self, ref: ModelRef) -> Call:
        """Return the call for ``/metadata``."""
        return Call(f"{model_path(ref)}/metadata", None)

    def read_metadata(self, data: bytes) -> ModelMetadata:
        """Return the metadata in ``/metadata``, the JSON form of a GetModelMetadataResponse."""
        body = parse_json(data)
        try:
            spec, written = body["model_spec"], body["metadata"]["signature_def"]
            # Bytes that are not UTF-8 are surrogates here, of which protobuf makes a SystemError.
            json.dumps(written, ensure_ascii=False).encode()
            definitions = ParseDict(
                written,
                protos.SignatureDefMap(),
                ignore_unknown_fields=True,
                descriptor_pool=protos.pool(),
            )
            version = int(spec["version"]) if spec.get("version") else None
        except (AttributeError, KeyError, TypeError, ValueError, ParseError) as error:
            raise DataLossError(f"the reply is not valid model metadata: {error!r}") from error
        return ModelMetadata(spec.get("name", ""), version, signature_infos(definitions.signature_def))

    def reload(self, config: Any) -> Call:
        """Raise an ``UnimplementedError``: the REST API has no reload."""
        del config
        raise UnimplementedError("the REST API cannot reload", hint="use Client on the gRPC port")

    def read_reload(self, data: bytes) -> None:
        """Do nothing: the REST API has no such reply."""


def model_path(ref: ModelRef) -> str:
    """Return the path of a model, version or label; names are percent-encoded."""
    path = f"/v1/models/{quote(ref.name, safe='')}"
    if ref.version is not None:
        return f"{path}/versions/{ref.version}"
    return path if ref.label is None else f"{path}/labels/{quote(ref.label, safe='')}"


def _version_status(entry: Any) -> VersionStatus:
    status = entry.get("status") or {}
    name = str(status.get("error_code", "OK"))
    code = Code[name] if name in Code.__members__ else Code.UNKNOWN
    return VersionStatus(int(entry["version"]), str(entry["state"]), code, str(status.get("error_message", "")))
