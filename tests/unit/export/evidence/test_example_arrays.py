# SPDX-License-Identifier: Apache-2.0
"""Examples take the dtype of an input only if that loses nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.export.evidence.example_arrays import dtype_of, example_array
from tfs_deploy.export.evidence.examples import example_dtypes
from tfs_deploy.protos.signatures import TensorSpec


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.int64([16777216]), "float32"),
        (np.uint8([255]), "float32"),
        (np.array([True]), "float32"),
        (np.float64([0.5, np.nan, np.inf]), "float32"),
        (np.int64([-(2**31)]), "int32"),
        ([0.1], "float32"),
        ([1, 2], "int64"),
        ([True], "bool"),
        (np.float32([1.5]), "float64"),
    ],
)
def test_casts_that_keep_every_value(value, dtype):
    array = example_array("s", TensorSpec("x", dtype, (None,)), value)
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_allclose(array.astype(np.float64), np.asarray(value, np.float64), rtol=1e-7)


@pytest.mark.parametrize(
    ("value", "dtype", "held"),
    [
        (np.int64([1, 16777217]), "float32", "16777217 (int64), which float32 cannot hold"),
        ([16777217], "float32", "16777217"),
        (np.float64([0.1]), "float32", "0.1 (float64), which float32 cannot hold"),
        (np.int64([2**31]), "int32", "2147483648"),
        (np.int32([-1]), "uint8", "int32"),
        (np.int64([300]), "int8", "300"),
        ([1e300], "float32", "1e+300"),
        (np.float32([1e-8]), "float16", "float16 cannot hold"),
        (np.float32([1.0]), "int32", "is float32, but the signature takes int32"),
        (np.int64([1]), "bool", "is int64, but the signature takes bool"),
        (["a"], "float32", "object"),
        (np.int64([3]), "string", "holds 3, but the signature takes string"),
        ([b"a", None], "string", "holds None"),
    ],
)
def test_casts_that_lose_something(value, dtype, held):
    with pytest.raises(UsageError) as caught:
        example_array("s", TensorSpec("x", dtype, (None,)), value)
    assert held in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.int64([1]), "int64"),
        (np.uint8([1]), "uint8"),
        (np.float64([1]), "float64"),
        (np.array([True]), "bool"),
        (np.array(["a"]), "string"),
        (np.array([b"a"], object), "string"),
        (["a"], "string"),
        ([1, 2], "int32"),
        ([2**40], "int64"),
        ([1.5], "float32"),
        ([True], "bool"),
    ],
)
def test_dtypes_of_values(value, dtype):
    assert dtype_of(value) == dtype
    assert example_dtypes({"s": [{"x": value}, {"x": value}]}) == {"s": {"x": dtype}}


def test_dtypes_of_what_is_not_an_example():
    for examples in (None, 3, {"s": 3}, {"s": []}, {"s": {"x": [[1], [1, 2]]}}):
        assert not any(example_dtypes(examples).values())


def test_a_column_of_a_table_is_a_column():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"x": [1.5, 2.1], "n": [1, 2]})
    assert example_array("s", TensorSpec("x", "float32", (None, 1)), table["x"]).shape == (2, 1)
    assert example_array("s", TensorSpec("x", "float32", (None,)), table["x"]).shape == (2,)
    assert example_array("s", TensorSpec("x", "float32", (None, 2)), table).shape == (2, 2)


@pytest.mark.parametrize(
    ("rows", "shape", "hint"),
    [
        (np.zeros((2, 3)), (1, 3), "the model fixes its batch size: give a list of examples, each of 1 row(s)"),
        (np.zeros(3), (None, 3), "even of a single row: array[None]"),
        (np.zeros((2, 4)), (None, 3), "? stands for"),
    ],
)
def test_shapes_that_do_not_fit(rows, shape, hint):
    with pytest.raises(UsageError) as caught:
        example_array("s", TensorSpec("x", "float64", shape), rows)
    assert hint in caught.value.hint
