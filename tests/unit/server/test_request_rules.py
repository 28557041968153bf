"""Which inputs Predict must have, and what a warmup file may hold (predict_util.cc, saved_model_warmup.cc)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.codec import encode_predict_request, encode_tensor
from tfs_deploy.errors import StatusError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.tfrecord import write_records
from tfs_deploy.server.inference.function_model import FunctionModel, function_model
from tfs_deploy.server.inference.predict import check_predict_method, complete_inputs
from tfs_deploy.server.inference.servable import ModelServable, ServedSignature
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.models.warmup import warm_up


def signature(names: str, defaults: str = "") -> ServedSignature:
    definition = protos.SignatureDef(method_name="mine")
    for name in names:
        definition.inputs[name].name = f"{name}:0"
        definition.inputs[name].dtype = 1
    for name in defaults:
        definition.defaults[name].ParseFromString(encode_tensor(np.float32([7])))
    return ServedSignature.from_definition("s", definition)


SIZE = "input size does not match signature: "
ALIAS = (
    "Signature input alias: b(feed name: b:0) not found in request and no default value provided. "
    "Inputs expected to be in the request "
)


@pytest.mark.parametrize(
    ("names", "defaults", "sent", "message"),
    [
        ("ab", "", "a", SIZE + "1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}."),
        ("a", "", "ab", SIZE + "2!=1 len({a,b}) != len({a}). Sent extra: {b}. Missing but required: {}."),
        ("ab", "", "cde", SIZE + "3!=2 len({c,d,e}) != len({a,b}). Sent extra: {c,d,e}. Missing but required: {a,b}."),
        ("a", "", "", SIZE + "0!=1 len({}) != len({a}). Sent extra: {}. Missing but required: {a}."),
        # inputs with defaults count as missing too
        ("ab", "b", "acd", SIZE + "3!=2 len({a,c,d}) != len({a,b}). Sent extra: {c,d}. Missing but required: {b}."),
        # with any default the number of inputs may be smaller, each is looked for then
        ("abc", "c", "a", f"{ALIAS}{{a}}, or default input alias set: c"),
        ("ab", "", "ac", f"{ALIAS}{{a,c}}, or default input alias set: "),
        ("ab", "b", "ac", "Inputs contains invalid name. Used request inputs: a, request input: a,c"),
    ],
)
def test_inputs_that_do_not_fit(names: str, defaults: str, sent: str, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        complete_inputs(signature(names, defaults), {name: np.float32([1]) for name in sent})
    assert (caught.value.code.name, caught.value.message) == ("INVALID_ARGUMENT", message)


def test_defaults_are_filled_in() -> None:
    found = complete_inputs(signature("abc", "bc"), {"a": np.float32([1]), "c": np.float32([2])})
    assert {name: array.tolist() for name, array in found.items()} == {"a": [1.0], "b": [7.0], "c": [2.0]}


def test_a_method_of_no_api_cannot_predict() -> None:
    with pytest.raises(StatusError) as caught:
        check_predict_method(signature("a"))
    assert caught.value.code.name == "INTERNAL"
    assert caught.value.message == (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: mine"
    )


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
