# SPDX-License-Identifier: Apache-2.0
"""Classify, Regress, MultiInference over gRPC (apis/classification.proto, regression.proto, inference.proto)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.client.call.inference_replies import ClassifyReply, RegressReply, ScoredClass, Task, TaskReply
from tfs_deploy.codec.examples import ExampleLike, examples_input
from tfs_deploy.errors import DataLossError
from tfs_deploy.protos import methods

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.client.call.model_ref import ModelRef

#: method -> path, request, response, and the name of the method in a SignatureDef
_METHODS: Final = {
    "classify": (methods.CLASSIFY, "ClassificationRequest", "ClassificationResponse", "tensorflow/serving/classify"),
    "regress": (methods.REGRESS, "RegressionRequest", "RegressionResponse", "tensorflow/serving/regress"),
}


def write_inference(
    method: str, ref: ModelRef, examples: Iterable[ExampleLike], context: ExampleLike | None, signature: str | None
) -> tuple[str, bytes]:
    """Return the path and body of a Classify or Regress."""
    path, kind, _, _ = _METHODS[method]
    request = getattr(protos, kind)()
    fill_spec(request.model_spec, ref, signature)
    request.input.CopyFrom(examples_input(examples, context))
    return path, request.SerializeToString()


def read_inference(method: str, data: bytes) -> TaskReply:
    """Return the reply in a ClassificationResponse or RegressionResponse."""
    response = parse_message(getattr(protos, _METHODS[method][2]), data)
    read = _classes if method == "classify" else _values
    return read(response.result, response.model_spec)


def write_tasks(
    ref: ModelRef, examples: Iterable[ExampleLike], context: ExampleLike | None, tasks: list[Task]
) -> tuple[str, bytes]:
    """Return the path and body of a MultiInference; all tasks name one model and version, as the server requires."""
    request = protos.MultiInferenceRequest()
    request.input.CopyFrom(examples_input(examples, context))
    for task in tasks:
        added = request.tasks.add(method_name=_METHODS[task.method][3])
        fill_spec(added.model_spec, ref, task.signature)
    return methods.MULTI_INFERENCE, request.SerializeToString()


def read_tasks(data: bytes) -> list[TaskReply]:
    """Return the replies in a MultiInferenceResponse, in the order of the tasks."""
    response = parse_message(protos.MultiInferenceResponse, data)
    return [
        _classes(result.classification_result, result.model_spec)
        if result.HasField("classification_result")
        else _values(result.regression_result, result.model_spec)
        for result in response.results
    ]


def fill_spec(spec: Any, ref: ModelRef, signature: str | None = None) -> None:
    """Write the servable and signature of a request into a ModelSpec."""
    spec.name = ref.name
    if ref.version is not None:
        spec.version.value = ref.version
    if ref.label is not None:
        spec.version_label = ref.label
    if signature:
        spec.signature_name = signature


def parse_message(kind: Any, data: bytes) -> Any:
    """Return the parsed reply; ``DataLossError`` if it is not valid."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise DataLossError(f"the reply is not a valid {kind.DESCRIPTOR.name}: {error}") from error


def _classes(result: Any, spec: Any) -> ClassifyReply:
    found = [[ScoredClass(each.label, each.score) for each in row.classes] for row in result.classifications]
    return ClassifyReply(found, **_answered_by(spec))


def _values(result: Any, spec: Any) -> RegressReply:
    return RegressReply(np.array([each.value for each in result.regressions], np.float32), **_answered_by(spec))


def _answered_by(spec: Any) -> dict[str, Any]:
    version = spec.version.value if spec.HasField("version") else None
    return {"model": spec.name, "version": version, "signature": spec.signature_name}
