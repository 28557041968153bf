# SPDX-License-Identifier: Apache-2.0
"""Goldens: kept without pickles, compared with tolerances."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.goldens import Golden, compare, read_goldens, write_goldens

DTYPES = ["float16", "float32", "float64", "int8", "int64", "uint16", "bool", "complex64"]


@given(array=hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0)))
def test_arrays_come_back_bit_for_bit(array, tmp_path_factory) -> None:
    folder = tmp_path_factory.getbasetemp() / "arrays"
    write_goldens(folder, [Golden("s", {"x": array}, {})])
    (golden,) = read_goldens(folder)
    assert golden.inputs["x"].dtype == array.dtype
    assert golden.inputs["x"].shape == array.shape
    assert golden.inputs["x"].tobytes() == array.tobytes()


@given(values=st.lists(st.binary(max_size=20), max_size=8))
def test_strings_come_back_with_every_byte(values, tmp_path_factory) -> None:
    folder = tmp_path_factory.getbasetemp() / "strings"
    array = np.array(values, object)
    write_goldens(folder, [Golden("s", {"x": array}, {"y": array.reshape(1, -1)})])
    (golden,) = read_goldens(folder)
    assert golden.inputs["x"].tolist() == values
    assert golden.outputs["y"].tolist() == [values]


def test_text_and_bfloat16(tmp_path) -> None:
    half = np.array([1.5, -2], ml_dtypes.bfloat16)
    write_goldens(tmp_path, [Golden("s", {"t": np.array("grüße")}, {"h": half}, rtol=0.1, metadata={"row": 3})])
    (golden,) = read_goldens(tmp_path)
    assert golden.inputs["t"].tolist() == "grüße".encode()
    assert golden.outputs["h"].dtype == half.dtype
    assert (golden.outputs["h"] == half).all()
    assert (golden.rtol, golden.metadata) == (0.1, {"row": 3})


def test_no_goldens(tmp_path) -> None:
    assert read_goldens(tmp_path) == []


@pytest.mark.parametrize("name", ["goldens.json", "tensors.npz"])
@pytest.mark.parametrize("keep", [0, 40, 150])
def test_damaged_files_are_named(tmp_path, name: str, keep: int) -> None:
    write_goldens(tmp_path, [Golden("s", {"x": np.arange(100.0)}, {"y": np.arange(100.0)})])
    path = tmp_path / "assets.extra" / "goldens" / name
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        read_goldens(tmp_path)


def test_pickles_are_refused(tmp_path) -> None:
    write_goldens(tmp_path, [Golden("s", {"x": np.zeros(2)}, {})])
    np.savez(tmp_path / "assets.extra" / "goldens" / "tensors.npz", **{"0.inputs.0": np.array([{}], object)})
    with pytest.raises(ModelError, match="cannot be read"):
        read_goldens(tmp_path)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (np.float32([1, 2]), np.float32([1, 2.000001])),
        (np.float32([np.nan, np.inf]), np.float32([np.nan, np.inf])),
        (np.array([b"a"], object), np.array([b"a"], object)),
        (np.array(["ä"]), np.array(["ä".encode()], object)),
        (np.zeros((0, 3)), np.zeros((0, 3))),
    ],
)
def test_equal_enough(expected, actual) -> None:
    assert compare({"y": expected}, {"y": actual, "more": actual}) is None


def test_the_first_mismatch_is_described() -> None:
    expected = {"a": np.float32([[1, 2], [3, 4]]), "b": np.int64([1])}
    mismatch = compare(expected, {"a": np.float32([[1, 2.5], [3, 0]]), "b": np.int64([2])})
    assert (mismatch.output, mismatch.index, mismatch.max_abs_diff) == ("a", (0, 1), 4.0)
    assert str(mismatch) == "output 'a' at [0, 1]: 2.5 instead of 2.0, largest difference 4"


@pytest.mark.parametrize(
    ("expected", "actual", "reason"),
    [
        (np.int64([1, 2]), np.int64([1, 3]), r"at \[1\]: 3 instead of 2"),
        (np.float32([1]), np.float64([1]), "dtype is float64 instead of float32"),
        (np.float32([1]), np.float32([[1]]), r"shape is \[1, 1\] instead of \[1\]"),
        (np.array([b"a"], object), np.array([b"b"], object), r"at \[0\]: b'b' instead of b'a'"),
        (np.float32([1]), np.float32([np.nan]), "nan instead of 1.0"),
        (np.array([b"a"], object), np.float32([1]), "dtype"),
        (np.float32(1), np.float32(2), r"at \[\]: 2.0 instead of 1.0"),
    ],
)
def test_mismatches(expected, actual, reason: str) -> None:
    import re

    assert re.search(reason, str(compare({"y": expected}, {"y": actual})))


def test_a_missing_output_is_a_mismatch() -> None:
    assert "missing" in str(compare({"y": np.zeros(1)}, {"z": np.zeros(1)}))
