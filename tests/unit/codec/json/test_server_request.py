# SPDX-License-Identifier: Apache-2.0
"""Bodies of REST predict requests to arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.codec.json.server_request import _quick_rows, parse_body, read_inputs
from tfs_deploy.codec.json.tensors import fill_columns, fill_rows
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import TensorSpec

NUMERIC = ["float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"]


ONLY_ONE = " Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "


def spec(dtype: str, name: str = "x") -> TensorSpec:
    return TensorSpec(name, dtype, None)


def read(body: Any, *specs: TensorSpec) -> dict[str, np.ndarray]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_inputs(parse_body(data), {each.name: each for each in specs})[0]


@pytest.mark.parametrize(
    ("body", "dtype", "expected"),
    [
        ({"instances": [[1, 2], [3, 4]]}, "float32", [[1, 2], [3, 4]]),
        ({"instances": [{"x": 1.5}, {"x": 2}]}, "float32", [1.5, 2]),
        ({"inputs": 3}, "int64", 3),
        ({"inputs": {"x": [True, False]}}, "bool", [True, False]),
        ({"instances": [300, -1]}, "uint8", [44, 255]),
        ({"instances": ["a", {"b64": "AP8="}]}, "string", [b"a", b"\x00\xff"]),
        ({"inputs": {"b64": "YQ"}}, "string", b"a"),
        ({"instances": ["\x00é"]}, "string", ["\x00é".encode()]),
        ({"instances": [1e-45, 1e39]}, "float32", [0.0, np.inf]),
        ({"instances": [[], []]}, "float32", [[], []]),
    ],
)
def test_values(body: Any, dtype: str, expected: Any) -> None:
    array = read(body, spec(dtype))["x"]
    wanted = np.array(expected, object if dtype == "string" else dtype)
    assert array.dtype == wanted.dtype
    assert array.shape == wanted.shape
    assert array.tolist() == wanted.tolist()


def test_special_numbers_and_repeated_keys() -> None:
    array = read(b'{"instances": [NaN, Infinity, -Infinity, 1]}', spec("float64"))["x"]
    assert np.isnan(array[0])
    assert array[1:].tolist() == [np.inf, -np.inf, 1]
    assert read(b'{"instances": [1], "instances": [2]}', spec("int32"))["x"].tolist() == [1]
    assert read(b'{"inputs": {"x": [1], "x": [2]}}', spec("int32"))["x"].tolist() == [1]
    # in a row both are read, and what is over at the end is dropped
    rows = b'{"instances": [{"x": [1, 2], "x": [3, 4]}, {"x": [5, 6]}]}'
    assert read(rows, spec("int32"))["x"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("depth", [65, 100, 300, 900])
@pytest.mark.parametrize(
    "form", ['{"inputs": %s}', '{"inputs": {"x": %s}}', '{"instances": %s}', '{"instances": [{"x": %s}]}']
)
@pytest.mark.parametrize(
    ("dtype", "value"), [("float32", "1"), ("float64", "1.5"), ("string", '"a"'), ("bool", "true")]
)
def test_too_many_dimensions(form: str, depth: int, dtype: str, value: str) -> None:
    body = (form % ("[" * depth + value + "]" * depth)).encode()
    with pytest.raises(InvalidArgumentError) as caught:
        read(body, spec(dtype))
    assert caught.value.message == "tensor parsing error: x"


def test_names_end_at_a_nul() -> None:
    assert read(rb'{"instances": [{"x\u0000y": 1}]}', spec("int32"))["x"].tolist() == [1]
    with pytest.raises(InvalidArgumentError, match=r"^Missing named input: x in 'inputs' object\.$"):
        read(rb'{"inputs": {"x\u0000y": [1]}}', spec("int32"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            b'{"instances": [1.5, NaN], "inputs": 3}',
            'JSON Value: {\n    "instances": [1.5, ' + ONLY_ONE,
        ),
        (
            b'{"inputs": {"x": [{"q": -Infinity, "r": 1}]}}',
            'JSON Value: {\n    "q":  Type: Object is not of expected type: int32',
        ),
        (
            b'{"inputs": {"x": [{"b64": "YQ==", "b64": "YQ=="}]}}',
            'JSON Value: {\n    "b64": "YQ==",\n    "b64": "YQ=="\n} Type: Object is not of expected type: int32',
        ),
        (b'{"inputs": {"x": [NaN]}}', "JSON Value: NaN Type: Number is not of expected type: int32"),
    ],
)
def test_values_are_quoted_as_the_server_prints_them(body: bytes, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(body, spec("int32"))
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("body", "specs", "message"),
    [
        ({}, [spec("float32")], "Missing 'inputs' or 'instances' key"),
        ([], [spec("float32")], "JSON Value: [] Is not object"),
        ({"instances": [1]}, [], "Failed to get input map for signature: DEFAULT"),
        (
            {"instances": [True]},
            [spec("float32")],
            (
                "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
                "JSON Value: true Type: True is "
                "not of expected type: float"
            ),
        ),
        (
            {"instances": [1.0]},
            [spec("int32")],
            (
                "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: "
                "JSON Value: 1.0 Type: Number "
                "is not of expected type: int32"
            ),
        ),
        (
            {"instances": [[1, 2], [1]]},
            [spec("float32")],
            (
                "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
                "Expecting tensor size: 2 but "
                "got: 1"
            ),
        ),
        (
            {"inputs": [[1], 2]},
            [spec("float32")],
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ({"inputs": [1, [2]]}, [spec("float32")], "Encountered list at unexpected level: 1 expected < 1"),
        (
            {"instances": [1, {"x": 1}]},
            [spec("float32")],
            "Expecting value/list but got object at item 1 of input list",
        ),
        (
            {"instances": [1]},
            [spec("uint16")],
            (
                "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: "
                "Conversion of JSON Value: 1 to "
                "type: uint16"
            ),
        ),
    ],
)
def test_refusals(body: Any, specs: list[TensorSpec], message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(body, *specs)
    assert caught.value.message == message


leaves = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none(), st.text(max_size=3), st.just({"b64": "YQ=="})
)
nested = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


def outcome(read_it: Any) -> Any:
    try:
        return {name: (array.dtype, array.shape, repr(array.tolist())) for name, array in read_it().items()}
    except InvalidArgumentError as error:
        return error.message


@given(st.lists(nested, min_size=1, max_size=4), st.sampled_from([*NUMERIC, "bool", "string", "float16"]))
def test_the_fast_path_agrees_with_the_exact_one(rows: list[Any], dtype: str) -> None:
    data = json.dumps({"instances": rows}).encode()
    body = parse_body(data)
    specs = {"x": spec(dtype)}
    assert outcome(lambda: read_inputs(body, specs)[0]) == outcome(lambda: fill_rows(body.exact()["instances"], specs))


@given(nested, st.sampled_from([*NUMERIC, "bool", "string"]))
def test_columns_agree_too(value: Any, dtype: str) -> None:
    data = json.dumps({"inputs": {"x": value, "y": 0}}).encode()
    body = parse_body(data)
    specs = {"x": spec(dtype)}
    assert outcome(lambda: read_inputs(body, specs)[0]) == outcome(lambda: fill_columns(body.exact()["inputs"], specs))


@given(
    st.lists(st.fixed_dictionaries({"a": st.floats(width=32), "b": st.integers(-9, 9)}), min_size=1, max_size=5),
)
def test_named_rows_agree_too(rows: list[Any]) -> None:
    body = parse_body(json.dumps({"instances": rows}).encode())
    specs = {"a": spec("float32", "a"), "b": spec("int64", "b")}
    assert outcome(lambda: read_inputs(body, specs)[0]) == outcome(lambda: fill_rows(body.exact()["instances"], specs))


def test_plain_numbers_take_the_fast_path() -> None:
    rows = [[1.0, 2.0], [3.0, 4.0]]
    body = parse_body(json.dumps({"instances": rows}).encode())
    assert _quick_rows(body, rows, {"x": spec("float32")}) is not None
