# SPDX-License-Identifier: Apache-2.0
"""Arrays to bodies of REST predict replies."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfs_deploy.codec.json.examples import parse_examples_body
from tfs_deploy.codec.json.server_reply import decimal_values, encode_predictions
from tfs_deploy.codec.json.text import decimal_text
from tfs_deploy.errors import InvalidArgumentError

NORMAL = float(np.finfo(np.float32).smallest_normal)


def text(*items: bytes) -> np.ndarray:
    array = np.empty(len(items), object)
    array[:] = items
    return array


def parse(data: bytes) -> Any:
    return json.loads(data.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize(
    ("outputs", "form", "expected"),
    [
        ({"y": np.float32([[0.1], [2]])}, "row", {"predictions": [[0.1], [2.0]]}),
        ({"y": np.float32(7)}, "column", {"outputs": 7.0}),
        ({"y": np.int64([1, 2])}, "column", {"outputs": [1, 2]}),
        ({"y": np.array([True])}, "row", {"predictions": [True]}),
        (
            {"a": np.int32([1, 2]), "b": text(b"x", b"y")},
            "row",
            {"predictions": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]},
        ),
        ({"a": np.int32([1]), "b": np.float32([0.5])}, "column", {"outputs": {"a": [1], "b": [0.5]}}),
        ({"z_bytes": text(b"\xff")}, "row", {"predictions": [{"b64": "/w=="}]}),
        ({"z": text(b"\xff", b"a")}, "row", {"predictions": ["\udcff", "a"]}),
        ({"a": np.int32([1]), "z": text(b"\xff")}, "row", {"predictions": [{"a": 1, "z": "\udcff"}]}),
        ({"y": np.zeros((2, 0), np.float32)}, "row", {"predictions": [[], []]}),
        ({"y": np.uint64([2**64 - 1])}, "row", {"predictions": [2**64 - 1]}),
    ],
)
def test_replies(outputs: dict[str, np.ndarray], form: Any, expected: Any) -> None:
    assert parse(encode_predictions(outputs, form)) == expected


def test_special_numbers() -> None:
    reply = encode_predictions({"y": np.float32([np.nan, np.inf, -np.inf, 1])}, "row")
    assert reply == b'{"predictions": [NaN,Infinity,-Infinity,1.0]}'
    named = parse(encode_predictions({"y": np.float64([np.nan]), "n": np.int8([3])}, "row"))
    assert math.isnan(named["predictions"][0]["y"])


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": np.zeros((0, 2), np.int32)},
        {"y": np.zeros((0,), np.float32)},
        {"y": np.empty((0, 1), object), "z": np.zeros((0, 3, 4), np.float32)},
    ],
)
def test_no_rows(outputs: dict[str, np.ndarray]) -> None:
    assert parse(encode_predictions(outputs, "row")) == {"predictions": []}


@pytest.mark.parametrize(
    ("outputs", "form", "message"),
    [
        ({}, "row", "Cannot convert empty tensor map to JSON"),
        ({"y": np.float32(1)}, "row", "Tensor name: y has no shape information "),
        (
            {"y": np.zeros((0, 2), np.int32), "z": np.array([[b"a"]], object)},
            "row",
            "Tensor name: z has inconsistent batch size: 1 expecting: 0",
        ),
        (
            {"y": np.zeros(2, np.float32), "z": np.zeros(3, np.float32)},
            "row",
            "Tensor name: z has inconsistent batch size: 3 expecting: 2",
        ),
        ({"y": np.float16([1])}, "row", "Failed to write JSON value for tensor type: half"),
        ({"y": np.uint16([1])}, "column", "Failed to write JSON value for tensor type: uint16"),
        ({"y": np.complex64([1])}, "column", "Failed to write JSON value for tensor type: complex64"),
    ],
)
def test_refusals(outputs: dict[str, np.ndarray], form: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        encode_predictions(outputs, form)
    assert caught.value.message == message


@given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_float32_values_are_the_decimals_of_the_server(array: np.ndarray) -> None:
    flushed = np.where(np.abs(array) < NORMAL, np.copysign(np.float32(0), array), array)
    assert decimal_values(array).tolist() == [float(decimal_text(float(value))) for value in flushed]


@given(hnp.arrays(np.float64, st.integers(1, 20), elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_float64_values_keep_their_digits(array: np.ndarray) -> None:
    assert parse(encode_predictions({"y": array}, "column"))["outputs"] == array.tolist()


def test_of_features_with_equal_names_the_last_counts() -> None:
    body = rb'{"examples": [{"a": [1, 2], "a": "x", "b\u0000c": 1.5}]}'
    (example,) = parse_examples_body(body, lambda: None).input.example_list.examples
    features = example.features.feature
    assert sorted(features) == ["a", "b"]
    assert list(features["a"].bytes_list.value) == [b"x"]
    assert list(features["b"].float_list.value) == [1.5]
