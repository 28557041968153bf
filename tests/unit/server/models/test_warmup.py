# SPDX-License-Identifier: Apache-2.0
"""What a warmup file may hold (saved_model_warmup.cc)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.codec import encode_predict_request
from tfs_deploy.errors import StatusError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.tfrecord import write_records
from tfs_deploy.server.inference.function_model import FunctionModel, function_model
from tfs_deploy.server.inference.servable import ModelServable
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.models.warmup import warm_up


def model(calls: list[str]) -> FunctionModel:
    def f(x: Any) -> dict[str, Any]:
        calls.append("predict")
        return {"y": x}

    def classify(inputs: Any) -> dict[str, Any]:
        calls.append("classify")
        return {"scores": np.zeros((len(inputs), 2), np.float32)}

    def regress(inputs: Any) -> dict[str, Any]:
        calls.append("regress")
        return {"outputs": np.zeros(1 + len(inputs), np.float32)}

    made = function_model(
        f,
        inputs={"x": "float32"},
        outputs={"y": "float32"},
        signatures={
            "classify": (classify, {"inputs": "string"}, {"scores": ("float32", (None, None))}),
            "regress": (regress, {"inputs": "string"}, {"outputs": "float32"}),
        },
    )
    made.signature_defs["classify"].method_name = CLASSIFY_METHOD
    made.signature_defs["regress"].method_name = REGRESS_METHOD
    return made


def predict_log(signature_name: str = "") -> Any:
    log = protos.PredictionLog()
    call = encode_predict_request("m", {"x": np.float32([1])}, signature=signature_name or None)
    log.predict_log.request.ParseFromString(call)
    return log


def examples_log(kind: str) -> Any:
    log = protos.PredictionLog()
    request = getattr(log, f"{kind}_log").request
    request.model_spec.signature_name = kind
    request.input.example_list.examples.add()
    return log


def session_log() -> Any:
    log = protos.PredictionLog()
    log.session_run_log.SetInParent()
    return log


@pytest.fixture
def replay(tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    (tmp_path / layout.WARMUP).parent.mkdir()

    def run(*logs: Any, **options: Any) -> tuple[int, list[str]]:
        write_records(tmp_path / layout.WARMUP, [log.SerializeToString() for log in logs])
        calls: list[str] = []
        servable = ModelServable(model(calls), name="m", metrics=ServerMetrics())
        return warm_up(servable, tmp_path, **options), calls

    return run


def test_each_record_is_repeated_before_the_next(replay: Callable[..., tuple[int, list[str]]]) -> None:
    assert replay(predict_log(), examples_log("classify"), iterations=2) == (
        2,
        ["predict", "predict", "classify", "classify"],
    )


def test_a_record_of_no_kind_is_passed_over(replay: Callable[..., tuple[int, list[str]]]) -> None:
    assert replay(protos.PredictionLog(), predict_log()) == (2, ["predict"])


@pytest.mark.parametrize(
    ("log", "options", "text"),
    [
        (session_log(), {}, "UNIMPLEMENTED: Unsupported log_type for warmup: 5"),
        (predict_log("nosuch"), {}, 'FAILED_PRECONDITION: Serving signature key "nosuch" not found.'),
        # the answer counts too, not only that the graph ran
        (
            examples_log("regress"),
            {},
            "INVALID_ARGUMENT: Input batch size did not match output batch size: 1 vs. 2",
        ),
    ],
)
def test_records_that_fail_the_load(
    replay: Callable[..., tuple[int, list[str]]], log: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(StatusError) as caught:
        replay(log, **options)
    assert f"{caught.value.code.name}: {caught.value.message}" == text
