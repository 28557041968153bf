# SPDX-License-Identifier: Apache-2.0
"""What gRPC and REST share: one answer to a call, and how failures are counted."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfs_deploy.codec import PredictCall, decode_predict_response, encode_predict_request
from tfs_deploy.errors import FailedPreconditionError, InvalidArgumentError
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.grpc.prediction_service import predict_answer
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.rest.handler import RestHandler
from tfs_deploy.server.testing import function_model, serve_models

CONTEXT = SimpleNamespace(time_remaining=lambda: None)
URL = "/v1/models/scale:predict"


class BrokenServable:
    """Fails in a way that the server does not foresee."""

    signatures: Any = None


def times(factor: int) -> Any:
    return function_model(lambda x: {"y": x * factor}, inputs={"x": "float32"}, outputs={"y": "float32"})


@pytest.fixture
def data_plane() -> Iterator[DataPlane]:
    with serve_models({"scale": {1: times(10), 2: times(100)}}, rest=False) as server:
        yield DataPlane(server.core, ServerMetrics())


def test_a_call_is_answered_with_the_version_and_the_outputs(data_plane: DataPlane) -> None:
    inputs = {"x": np.float32([1])}
    version, outputs = data_plane.predict(PredictCall("scale", inputs=inputs), None)
    assert (version, outputs["y"].tolist()) == (2, [100.0])
    version, outputs = data_plane.predict(PredictCall("scale", version=1, inputs=inputs), None)
    assert (version, outputs["y"].tolist()) == (1, [10.0])


def test_the_servable_whose_signature_was_read_answers(data_plane: DataPlane) -> None:
    """A version that appears between reading JSON by a signature and the run does not get the call."""
    found = data_plane.find("scale", 1, None)
    version, outputs = data_plane.predict(PredictCall("scale", inputs={"x": np.float32([1])}), None, found=found)
    assert (version, outputs["y"].tolist()) == (1, [10.0])


def test_a_call_is_checked_without_the_values_of_its_inputs(data_plane: DataPlane) -> None:
    data_plane.check_predict(PredictCall("scale", inputs={"x": None}))  # type: ignore[dict-item]
    with pytest.raises(InvalidArgumentError, match="input size does not match signature"):
        data_plane.check_predict(PredictCall("scale"))
    with pytest.raises(FailedPreconditionError, match='Serving signature key "nosuch" not found'):
        data_plane.check_predict(PredictCall("scale", signature="nosuch"))


def test_both_protocols_give_the_same_answer(data_plane: DataPlane) -> None:
    request = [encode_predict_request("scale", {"x": np.float32([1, 2])})]
    reply = decode_predict_response(predict_answer(data_plane)(request, CONTEXT))
    assert (reply.version, reply["y"].tolist(), request) == (2, [100.0, 200.0], [])
    body = RestHandler(data_plane).handle("POST", URL, b'{"inputs": [1, 2]}', None).body
    assert body == b'{"outputs": [100.0,200.0]}'
    assert list(data_plane.metrics.requests.lines()) == [
        ':tensorflow:serving:request_count{model_name="scale",status="OK"} 2'
    ]


def test_an_unforeseen_failure_is_counted_by_both_protocols(
    data_plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_plane, "find", lambda *_: (1, BrokenServable()))
    with pytest.raises(AttributeError):
        predict_answer(data_plane)([encode_predict_request("scale", {"x": np.float32([1])})], CONTEXT)
    reply = RestHandler(data_plane).handle("POST", URL, b'{"inputs": [1]}', None)
    assert (reply.status, reply.body) == (
        500,
        b'{\n    "error": "the server failed to answer; its log has the details"\n}',
    )
    assert list(data_plane.metrics.requests.lines()) == [
        ':tensorflow:serving:request_count{model_name="scale",status="INTERNAL"} 2'
    ]
