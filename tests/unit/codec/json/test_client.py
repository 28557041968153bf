# SPDX-License-Identifier: Apache-2.0
"""REST bodies and replies as a client writes and reads them."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfs_deploy.codec.json.client import JSON_DTYPES, decode_predict_body, encode_predict_body, parse_json
from tfs_deploy.errors import DataLossError, MissingExtraError, RequestError
from tfs_deploy.protos.signatures import TensorSpec


def body(inputs: dict[str, Any], signature: str | None = None) -> Any:
    return json.loads(encode_predict_body(inputs, signature=signature))


def spec(dtype: str, shape: tuple[int | None, ...] | None = None, name: str = "y") -> dict[str, TensorSpec]:
    return {name: TensorSpec(name, dtype, shape)}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[1, 2], [3, 4]], np.float32), [[1.0, 2.0], [3.0, 4.0]]),
        (np.float32(0.1), 0.10000000149011612),
        (np.array([0.1], np.float32), [0.1]),
        (np.array([True, False]), [True, False]),
        (np.array([2**63 - 1, -(2**63)]), [2**63 - 1, -(2**63)]),
        (np.array([2**64 - 1], np.uint64), [2**64 - 1]),
        (np.array([1, 2], ">i4"), [1, 2]),
        (np.arange(6).reshape(2, 3).T, [[0, 3], [1, 4], [2, 5]]),
        (np.zeros((2, 0)), [[], []]),
        ("text", "text"),
        (["ä", b"ab", b"\xff"], ["ä", {"b64": "YWI="}, {"b64": "/w=="}]),
        (b"ab", {"b64": "YWI="}),
        (np.array(["a", "b"]), ["a", "b"]),
        (5, 5),
    ],
)
def test_inputs(value: Any, expected: Any) -> None:
    assert body({"x": value}) == {"inputs": {"x": expected}}


def test_the_signature_and_several_inputs() -> None:
    assert body({"a": [1], 'b"': ["x"]}, "två") == {"signature_name": "två", "inputs": {"a": [1], 'b"': ["x"]}}
    assert body({}) == {"inputs": {}}


def test_not_finite_values_are_bare_tokens() -> None:
    data = encode_predict_body({"x": np.array([np.nan, np.inf, -np.inf, 1.5], np.float32)})
    assert data == b'{"inputs":{"x":[NaN, Infinity, -Infinity, 1.5]}}'


@pytest.mark.parametrize("dtype", ["float16", "uint16", "complex64", "complex128", "bfloat16"])
def test_dtypes_that_the_api_lacks(dtype: str) -> None:
    import ml_dtypes

    array = np.ones(1, getattr(ml_dtypes, dtype, dtype))
    with pytest.raises(RequestError, match=f"input x is {dtype}, which the REST API cannot carry") as caught:
        encode_predict_body({"x": array})
    assert caught.value.hint == "use the gRPC client"


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 4)])
def test_shapes_that_lists_cannot_tell(shape: tuple[int, ...]) -> None:
    with pytest.raises(RequestError, match="which JSON lists cannot express"):
        encode_predict_body({"x": np.zeros(shape)})


def test_elements_that_are_no_strings() -> None:
    with pytest.raises(RequestError, match="neither text nor bytes"):
        encode_predict_body({"x": np.array([object()], object)})


@given(
    array=st.sampled_from(sorted(JSON_DTYPES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, max_side=3))
    )
)
def test_what_is_sent_comes_back_exactly(array: np.ndarray[Any, Any]) -> None:
    """Every finite value, NaN and infinity of every dtype survives JSON."""
    sent = encode_predict_body({"x": array})
    value = sent.removeprefix(b'{"inputs":{"x":').removesuffix(b"}}")
    returned = decode_predict_body(b'{"outputs":' + value + b"}", spec(array.dtype.name))["y"]
    assert returned.dtype == array.dtype
    np.testing.assert_array_equal(returned, array)


@pytest.mark.parametrize(
    ("reply", "outputs", "expected"),
    [
        ('{"outputs": [2.5, 3.0]}', spec("float32"), {"y": [2.5, 3.0]}),
        ('{"outputs": 6.0}', spec("float32"), {"y": 6.0}),
        ('{"outputs": [NaN, Infinity, -Infinity]}', spec("float64"), {"y": [None, float("inf"), float("-inf")]}),
        ('{"outputs": [18446744073709551615]}', spec("uint64"), {"y": [2**64 - 1]}),
        ('{"outputs": ["ABC", "\\u00e9"]}', spec("string"), {"y": [b"ABC", "é".encode()]}),
        ('{"outputs": [{"b64": "YWI="}]}', spec("string", name="y_bytes"), {"y_bytes": [b"ab"]}),
        ('{"outputs": {"b64": "YWI="}}', spec("string", name="y_bytes"), {"y_bytes": b"ab"}),
        ('{"outputs": [["a"], ["b"]]}', spec("string"), {"y": [[b"a"], [b"b"]]}),
        ('{"outputs": {"y": [1], "z": [true]}}', spec("int64") | spec("bool", name="z"), {"y": [1], "z": [True]}),
    ],
)
def test_replies(reply: str, outputs: dict[str, TensorSpec], expected: dict[str, Any]) -> None:
    found = decode_predict_body(reply.encode(), outputs)
    for name, array in found.items():
        assert not array.flags.writeable
        values = array.tolist()
        if array.dtype.kind == "f" and array.ndim:
            values = [None if value != value else value for value in values]
        assert values == expected[name]
    assert found.keys() == expected.keys()


def test_strings_that_are_no_utf8() -> None:
    """The server writes a string's bytes into the JSON as they are."""
    found = decode_predict_body(b'{"outputs": ["\\u0000\xff\\u0010"]}', spec("string"))
    assert found["y"].tolist() == [b"\x00\xff\x10"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((None, 10), (0, 10)), ((None,), (0,)), ((None, None), (0,)), (None, (0,)), ((None, 2, 3), (0, 2, 3))],
)
def test_an_empty_list_has_the_shape_of_the_signature(
    shape: tuple[int | None, ...] | None, expected: tuple[int, ...]
) -> None:
    assert decode_predict_body(b'{"outputs": []}', spec("float32", shape))["y"].shape == expected


@pytest.mark.parametrize(
    ("reply", "outputs"),
    [
        (b"", spec("float32")),
        (b"<html>", spec("float32")),
        (b"[]", spec("float32")),
        (b'{"predictions": [1]}', spec("float32")),
        (b'{"outputs": ["a"]}', spec("float32")),
        (b'{"outputs": [[1], [2, 3]]}', spec("float32")),
        (b'{"outputs": [300]}', spec("int8")),
        (b'{"outputs": [1]}', spec("string")),
        (b'{"outputs": [{"b64": "a"}]}', spec("string")),
        (b'{"outputs": [1]}', spec("float32") | spec("float32", name="z")),
        (b'{"outputs": {"y": [1], "other": [1]}}', spec("float32") | spec("float32", name="z")),
    ],
)
def test_replies_that_cannot_be_read(reply: bytes, outputs: dict[str, TensorSpec]) -> None:
    with pytest.raises(DataLossError, match="reply"):
        decode_predict_body(reply, outputs)


def test_without_orjson_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(MissingExtraError) as caught:
        parse_json(b"{}")
    assert caught.value.hint == "pip install 'tf-serving-deploy[rest]'"


@pytest.mark.parametrize(("values", "dtype"), [([300], "int8"), ([-1], "uint64"), ([2**63], "int64"), ([-129], "int8")])
def test_no_integer_of_a_reply_wraps_round(values: list[int], dtype: str) -> None:
    with pytest.raises(DataLossError, match=f"is not {dtype}"):
        decode_predict_body(json.dumps({"outputs": values}).encode(), spec(dtype))


@pytest.mark.parametrize(
    ("value", "dtype"), [(2**64 - 1, "uint64"), (-(2**63), "int64"), (-128, "int8"), (255, "uint8")]
)
def test_the_largest_integers_of_a_reply(value: int, dtype: str) -> None:
    body = json.dumps({"outputs": [value, 0]}).encode()
    assert decode_predict_body(body, spec(dtype))["y"].tolist() == [value, 0]
