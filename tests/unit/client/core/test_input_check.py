# SPDX-License-Identifier: Apache-2.0
"""Inputs against a signature: what is taken as it is, what is converted, and what each mistake is told."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tfs_deploy.client.core.input_check import check_inputs, check_output_filter, find_signature
from tfs_deploy.errors import RequestError
from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec

SIGNATURE = SignatureInfo(
    "serving_default",
    "tensorflow/serving/predict",
    inputs={
        "image": TensorSpec("image", "float32", (None, 8, 8)),
        "count": TensorSpec("count", "int32", (None,)),
        "text": TensorSpec("text", "string", None),
        "flag": TensorSpec("flag", "bool", ()),
        "half": TensorSpec("half", "float16", (None,)),
        "brain": TensorSpec("brain", "bfloat16", (None,)),
        "big": TensorSpec("big", "uint64", (None,)),
        "wave": TensorSpec("wave", "complex64", (None,)),
    },
    outputs={
        "probabilities": TensorSpec("probabilities", "float32", (None, 10)),
        "label": TensorSpec("label", "int64", (None,)),
    },
)


def one(name: str) -> SignatureInfo:
    return SignatureInfo("serving_default", "tensorflow/serving/predict", {name: SIGNATURE.inputs[name]})


@pytest.mark.parametrize(
    ("name", "value", "dtype", "expected"),
    [
        ("count", [1, 2], "int32", [1, 2]),
        ("count", [], "int32", []),
        ("count", np.array([1, 2], ">i4"), ">i4", [1, 2]),
        ("image", np.zeros((3, 8, 8), np.float32).tolist(), "float32", np.zeros((3, 8, 8)).tolist()),
        ("image", np.zeros((3, 8, 8), int).tolist(), "float32", np.zeros((3, 8, 8)).tolist()),
        ("text", "hello", "object", "hello"),
        ("text", [["a", b"b"]], "object", [["a", b"b"]]),
        ("text", np.array(["a", "b"]), "U1", ["a", "b"]),
        ("flag", True, "bool", True),
        ("flag", np.bool_(0), "bool", False),
        ("half", [1, 2.5], "float16", [1.0, 2.5]),
        ("half", [float("inf"), float("nan")], "float16", None),
        ("brain", [1, 2.5], ml_dtypes.bfloat16, [1.0, 2.5]),
        ("big", [2**64 - 1], "uint64", [2**64 - 1]),
        ("wave", [1, 2.5], "complex64", [1 + 0j, 2.5 + 0j]),
        ("wave", [1j], "complex64", [1j]),
    ],
)
def test_what_fits(name: str, value: Any, dtype: Any, expected: Any) -> None:
    array = check_inputs(one(name), {name: value})[name]
    assert array.dtype == np.dtype(dtype)
    if expected is not None:
        assert array.tolist() == expected


@pytest.mark.parametrize(
    ("shape", "accepted"), [((3,), True), ((3, 1), True), ((), False), ((3, 2), False), ((3, 1, 1), False)]
)
def test_trailing_ones_may_be_left_out(shape: tuple[int, ...], accepted: bool) -> None:
    """TensorFlow Serving's own example declares [?, 1] and is called with [3]."""
    signature = SignatureInfo("s", "", {"x": TensorSpec("x", "float32", (None, 1))})
    if accepted:
        assert check_inputs(signature, {"x": np.zeros(shape, np.float32)})["x"].shape == shape
    else:
        with pytest.raises(RequestError, match=r"input x expects float32 \[\?, 1\]"):
            check_inputs(signature, {"x": np.zeros(shape, np.float32)})


def test_an_array_that_fits_is_not_copied() -> None:
    array = np.zeros((2, 8, 8), np.float32)
    assert check_inputs(one("image"), {"image": array})["image"] is array


@pytest.mark.parametrize(
    ("name", "value", "message", "hint"),
    [
        (
            "image",
            np.zeros((2, 8, 8)),
            "input image expects float32 [?, 8, 8], got float64 [2, 8, 8]",
            "convert it with .astype(np.float32)",
        ),
        (
            "image",
            np.zeros((2, 8, 8), np.uint8),
            "input image expects float32 [?, 8, 8], got uint8 [2, 8, 8]",
            "convert it with .astype(np.float32)",
        ),
        (
            "image",
            np.zeros((8, 8), np.float32),
            "input image expects float32 [?, 8, 8], got float32 [8, 8]",
            "add the batch dimension: image[np.newaxis]",
        ),
        (
            "image",
            np.zeros((1, 2, 8, 8), np.float32),
            "input image expects float32 [?, 8, 8], got float32 [1, 2, 8, 8]",
            "drop the batch dimension: image[0]",
        ),
        (
            "image",
            np.zeros((2, 64), np.float32),
            "input image expects float32 [?, 8, 8], got float32 [2, 64]",
            "if the values are in this order: image.reshape(-1, 8, 8)",
        ),
        ("image", np.zeros((2, 7, 8), np.float32), "got float32 [2, 7, 8]", None),
        ("image", [["a"]], "input image expects float32 [?, 8, 8], got strings", "give float32 values"),
        ("image", [[1, 2], [3]], "input image: a nested list has rows of unequal lengths", None),
        ("count", [1.5], "input count expects int32 [?], got floats", "give int32 values"),
        ("count", [True], "input count expects int32 [?], got bool", "give int32 values"),
        ("count", [1, 2**31], "input count: 2147483648 does not fit int32", "count expects int32 [?]"),
        ("count", np.array([1]), "input count expects int32 [?], got int64 [1]", "convert it with .astype(np.int32)"),
        ("count", np.float32(1), "input count expects int32 [?], got float32 []", "convert it with .astype(np.int32)"),
        ("count", 1, "input count expects int32 [?], got int32 []", "add the batch dimension: count[np.newaxis]"),
        ("big", [-1], "input big: -1 does not fit uint64", "big expects uint64 [?]"),
        ("half", [1e6], "input half: 1000000.0 does not fit float16", "half expects float16 [?]"),
        ("image", [1.0, 1e40], "input image: 1e+40 does not fit float32", "image expects float32 [?, 8, 8]"),
        ("brain", np.ones(1, np.float32), "got float32 [1]", "convert it with .astype(ml_dtypes.bfloat16)"),
        ("wave", ["a"], "input wave expects complex64 [?], got strings", "give complex64 values"),
        ("flag", 1, "input flag expects bool [], got integers", "give bool values"),
        ("flag", np.ones(1), "got float64 [1]", "convert it with .astype(np.bool_)"),
        ("text", [1], "input text expects string [...], got integers", "give string values"),
        ("text", np.ones(1), "input text expects string [...], got float64 [1]", "give text as text or bytes"),
        ("count", np.array(["1"]), "got string [1]", "convert the text to numbers: .astype(np.int32)"),
    ],
)
def test_what_does_not_fit(name: str, value: Any, message: str, hint: str | None) -> None:
    with pytest.raises(RequestError) as caught:
        check_inputs(one(name), {name: value})
    assert message in caught.value.message
    if hint is not None:
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("inputs", "message", "hint"),
    [
        ({"imgae": 1}, "signature serving_default has no input imgae; it has: image", "did you mean input image?"),
        ({"q": 1}, "signature serving_default has no input q; it has: image", "use input image"),
        ({"image": np.zeros((1, 8, 8), np.float32), "images": 1}, "has no input images", "did you mean input image?"),
        ({}, "signature serving_default needs the input image (float32 [?, 8, 8])", "add image to the inputs"),
    ],
)
def test_names(inputs: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_inputs(one("image"), inputs)
    assert message in caught.value.message
    assert caught.value.hint == hint


def test_the_closest_of_the_missing_names_is_suggested() -> None:
    signature = SignatureInfo("s", "", {name: TensorSpec(name, "float32", None) for name in ("image_a", "image_b")})
    with pytest.raises(RequestError) as caught:
        check_inputs(signature, {"image_a": [1.0], "image_c": [1.0]})
    assert caught.value.hint == "did you mean input image_b?"


def test_inputs_with_default_values_may_be_left_out() -> None:
    signature = SignatureInfo("s", "", one("count").inputs, {}, frozenset({"count"}))
    assert check_inputs(signature, {}) == {}


def test_unknown_signatures_and_outputs_list_those_that_exist() -> None:
    with pytest.raises(RequestError, match="digits has no signature servng; it has: serving_default, embed") as caught:
        find_signature({"serving_default": SIGNATURE, "embed": SIGNATURE}, "servng", "digits")
    assert caught.value.hint == "did you mean signature serving_default?"
    with pytest.raises(RequestError, match="has no output labels; it has: probabilities, label") as caught:
        check_output_filter(SIGNATURE, ["label", "labels"])
    assert caught.value.hint == "did you mean output label?"
    with pytest.raises(RequestError, match="output label is asked for twice"):
        check_output_filter(SIGNATURE, ["label", "label"])


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, r"expects int32 \[\?\], got a value of type NoneType"),
        ({1, 2}, "got a value of type set"),
        ({"a": 1}, "got a value of type dict"),
        ((number for number in [1]), "got a value of type generator"),
        ([1, None], "got a NoneType among them"),
        ([10**400], "got an integer beyond 64 bits among them"),
        (["a", "b"], "got strings"),
    ],
)
def test_what_is_no_tensor_is_called_what_it_is(value, complaint):
    with pytest.raises(RequestError, match=complaint):
        check_inputs(one("count"), {"count": value})


def test_a_range_is_a_list():
    assert check_inputs(one("count"), {"count": range(3)})["count"].tolist() == [0, 1, 2]
