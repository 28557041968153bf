# SPDX-License-Identifier: Apache-2.0
"""Which inputs Predict must have, and which signatures it takes (predict_util.cc)."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.codec import encode_tensor
from tfs_deploy.errors import StatusError
from tfs_deploy.server.inference.predict import check_predict_method, complete_inputs
from tfs_deploy.server.inference.servable import ServedSignature


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
