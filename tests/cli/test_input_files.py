# SPDX-License-Identifier: Apache-2.0
"""Arrays in files as inputs of dtypes that numpy's files lack, and typed values of other shapes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tfs_deploy.cli.shared.input_values import read_inputs
from tfs_deploy.codec import numpy_dtype
from tfs_deploy.errors import RequestError
from tfs_deploy.protos.signatures import TensorSpec


@pytest.mark.parametrize(
    ("dtype", "saved"),
    [
        *((dtype, "as it is") for dtype in ("bfloat16", "int4")),
        *((dtype, "wider") for dtype in ("bfloat16", "float8_e5m2", "int4")),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_what_np_save_made_of_them_gets_its_dtype_back(tmp_path, dtype, saved, suffix):
    values = np.array([[1, 2], [-4, 0]], np.float32).astype(numpy_dtype(dtype))
    kept = values if saved == "as it is" else values.astype(np.int8 if dtype == "int4" else np.float32)
    file = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(file, kept)
    else:
        np.savez(file, x=kept)
    argument = f"@{file}" if suffix == "npz" else f"x=@{file}"
    read = read_inputs([argument], {"x": TensorSpec("x", dtype, (None, 2))})["x"]
    assert read.dtype == values.dtype
    assert read.astype(int).tolist() == [[1, 2], [-4, 0]]


def test_values_that_would_change_stay_as_they_are(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.float32([1.001]))
    read = read_inputs([f"@{tmp_path / 'x.npz'}"], {"x": TensorSpec("x", "bfloat16", (None,))})["x"]
    assert read.dtype == np.float32


def test_other_inputs_stay_as_they_are(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.ones(2, ml_dtypes.bfloat16))
    read = read_inputs([f"@{tmp_path / 'x.npz'}"], {"x": TensorSpec("x", "uint16", (None,))})["x"]
    assert read.dtype.kind == "V"


@pytest.mark.parametrize(
    ("typed", "dtype", "shape", "hint"),
    [
        ("1.0", "float32", (None, 1), "if the values are in this order: -i 'x=[[1.0]]'"),
        ("[1, 2, 3, 4]", "int32", (None, 2, 1), "if the values are in this order: -i 'x=[[[1], [2]], [[3], [4]]]'"),
        ("[[1.0, 2.0]]", "float32", (2,), "if the values are in this order: -i 'x=[1.0, 2.0]'"),
        ("it's", "string", (None, 1), """if the values are in this order: -i 'x=[["it'"'"'s"]]'"""),
        ("[1, 2, 3]", "float32", (None, 2), "give x as lists in the shape [n, 2], for example -i x=@FILE.json"),
    ],
)
def test_a_typed_value_of_another_shape_gets_a_hint_that_can_be_typed(typed, dtype, shape, hint):
    with pytest.raises(RequestError, match=r"^input x expects") as caught:
        read_inputs([f"x={typed}"], {"x": TensorSpec("x", dtype, shape)})
    assert caught.value.hint == hint


def test_typed_values_may_lack_the_batch_dimension_and_trailing_ones():
    specs = {"x": TensorSpec("x", "float32", (None, 2)), "y": TensorSpec("y", "float32", (None, 1))}
    assert read_inputs(["x=[1, 2]", "y=[1, 2]"], specs) == {"x": [[1, 2]], "y": [1, 2]}
