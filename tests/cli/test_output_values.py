# SPDX-License-Identifier: Apache-2.0
"""What ``--output FILE.npz`` keeps: every value as it was, in a file that numpy alone can read."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tfs_deploy.cli.shared.output_values import write_archive
from tfs_deploy.errors import UsageError


def read_back(path: Any) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def test_strings_keep_every_byte(tmp_path):
    values = np.array([b"\0a", b"", b"b\0c", "é".encode()], object)
    write_archive(tmp_path / "o.npz", {"s": values, "none": np.empty((0, 2), object), "one": np.array(b"x", object)})
    back = read_back(tmp_path / "o.npz")
    assert back["s"].tolist() == values.tolist()
    assert back["none"].shape == (0, 2)
    assert back["one"].item() == b"x"


@pytest.mark.parametrize("value", [b"a\0", b"\0", b"\x08\x01\0\0\0\0"])
def test_strings_that_numpy_would_shorten_are_refused_before_a_file_is_written(tmp_path, value):
    with pytest.raises(UsageError, match="output s has strings that end in NUL bytes") as caught:
        write_archive(tmp_path / "o.npz", {"x": np.ones(2), "s": np.array([[b"whole", value]], object)})
    assert "--output json" in str(caught.value.hint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [
        (ml_dtypes.bfloat16, np.float32),
        (ml_dtypes.float8_e5m2, np.float32),
        (ml_dtypes.float8_e4m3fn, np.float32),
        (ml_dtypes.int4, np.int8),
        (ml_dtypes.uint4, np.uint8),
    ],
)
def test_types_that_numpy_lacks_are_widened(tmp_path, dtype, wide):
    values = np.array([[1, 2], [7, 0]], np.float32).astype(dtype)
    write_archive(tmp_path / "o.npz", {"y": values})
    back = read_back(tmp_path / "o.npz")["y"]
    assert back.dtype == wide
    assert back.tolist() == [[1, 2], [7, 0]]


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint8", "float16", "float64", "complex64"])
def test_types_of_numpy_stay(tmp_path, dtype):
    write_archive(tmp_path / "o.npz", {"y": np.ones(3, dtype)})
    assert read_back(tmp_path / "o.npz")["y"].dtype == dtype
