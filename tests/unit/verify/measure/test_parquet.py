# SPDX-License-Identifier: Apache-2.0
"""Parquet files of every shape that pipelines write, and those that no tensor can be made of."""

from __future__ import annotations

import decimal
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from tfs_deploy.errors import MissingExtraError, UsageError
from tfs_deploy.verify.measure.data_sets import read_data_set

NUMBERS = pa.array([1.5, 2.5, 3.5, 4.5])


@pytest.fixture
def read(tmp_path):
    """Write columns to a file, and read that as a data set."""

    def written(columns, **options):
        parquet.write_table(pa.table(columns), tmp_path / "d.parquet", **options)
        return read_data_set(tmp_path / "d.parquet")

    return written


@pytest.mark.parametrize(
    ("column", "dtype", "expected"),
    [
        (pa.array([1, 2, 3, 4], pa.int8()), np.int8, [1, 2, 3, 4]),
        (pa.array([1, 2, 3, 2**63], pa.uint64()), np.uint64, [1, 2, 3, 2**63]),
        (pa.array([0.5, 1, 2, 3], pa.float32()), np.float32, [0.5, 1, 2, 3]),
        (pa.array(np.array([0.5, 1, 2, 3], np.float16)), np.float16, [0.5, 1, 2, 3]),
        (pa.array([True, False, True, True]), np.bool_, [True, False, True, True]),
        (pa.array([decimal.Decimal("1.25")] * 4), np.float64, [1.25] * 4),
        (pa.array(["a", "b", "\u00fc", ""]), object, [b"a", b"b", "\u00fc".encode(), b""]),
        (pa.array(["a"] * 4, pa.large_string()), object, [b"a"] * 4),
        (pa.array([b"\xff\x00", b"", b"b", b"c"]), object, [b"\xff\x00", b"", b"b", b"c"]),
        (pa.array([b"ab"] * 4, pa.binary(2)), object, [b"ab"] * 4),
        (pa.array(["yes", "no", "yes", "no"]).dictionary_encode(), object, [b"yes", b"no", b"yes", b"no"]),
        (pa.array([[1, 2]] * 4), np.int64, [[1, 2]] * 4),
        (pa.array([[1, 2]] * 4, pa.large_list(pa.int32())), np.int32, [[1, 2]] * 4),
        (pa.array([[1, 2]] * 4, pa.list_(pa.float32(), 2)), np.float32, [[1, 2]] * 4),
        (pa.array([[[1, 2], [3, 4], [5, 6]]] * 4), np.int64, [[[1, 2], [3, 4], [5, 6]]] * 4),
        (pa.array([["a", "b"]] * 4), object, [[b"a", b"b"]] * 4),
        (pa.array([[True]] * 4), np.bool_, [[True]] * 4),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_a_column_keeps_its_values_dtype_and_shape(read, column, dtype, expected):
    found = read({"x": column, "y": NUMBERS})
    assert found["x"].dtype == dtype
    assert found["x"].tolist() == expected
    assert found["y"].tolist() == NUMBERS.to_pylist()


def test_row_groups_are_one_table(read):
    columns = {"x": pa.array([[number, -number] for number in range(100)]), "name": pa.array(["a", "b"] * 50)}
    found = read(columns, row_group_size=7, use_dictionary=True)
    assert found["x"].tolist() == [[number, -number] for number in range(100)]
    assert found["name"].tolist() == [b"a", b"b"] * 50


def test_columns_that_are_numbered_are_one_input(read):
    found = read({"x.0": NUMBERS, "x.1": NUMBERS, "label": NUMBERS})
    assert sorted(found) == ["label", "x"]
    assert found["x"].shape == (4, 2)


def test_a_tensor_column_is_read_as_its_values(read):
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(16, dtype=np.float32).reshape(4, 2, 2))
    assert read({"image": tensors})["image"].reshape(4, 2, 2).tolist() == np.arange(16).reshape(4, 2, 2).tolist()


def test_a_table_of_pandas_has_no_column_for_its_index(tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0], "kind": pd.Categorical(["a", "b"])}, index=["one", "two"])
    frame.to_parquet(tmp_path / "d.parquet")
    found = read_data_set(tmp_path / "d.parquet")
    assert sorted(found) == ["kind", "x"]
    assert found["kind"].tolist() == [b"a", b"b"]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1, None, 2, None]), "column 'x' has 2 nulls in 4 rows"),
        (pa.array(["a", None, "b", "c"]).dictionary_encode(), "column 'x' has 1 nulls in 4 rows"),
        (pa.array([[1, None], [1, 2], [1, 2], [1, 2]]), "column 'x' has 1 nulls in 8 rows"),
        (pa.array([[1], None, [1], [1]]), "column 'x' has 1 nulls in 4 rows"),
        (pa.nulls(4), "column 'x' has 4 nulls in 4 rows"),
        (pa.array([[1], [1, 2], [], [1]]), "column 'x' has lists of 0, 1, 2 values"),
        (pa.array([[[1], [1, 2]]] * 4), "column 'x' has lists of 1, 2 values"),
        (pa.array([{"a": 1}] * 4), "column 'x' is struct<a: int64>, which no tensor can hold"),
        (pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int64())), "column 'x' is map<"),
        (pa.array([0] * 4, pa.timestamp("s")), "column 'x' is timestamp"),
        (pa.array([0] * 4, pa.date32()), "column 'x' is date32"),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_what_no_tensor_holds_is_named(read, column, message):
    with pytest.raises(UsageError) as caught:
        read({"x": column, "y": NUMBERS})
    assert message in caught.value.message
    assert "d.parquet" in caught.value.message


def test_no_rows_and_no_columns_are_refused(read):
    with pytest.raises(UsageError, match="does not have columns of one length: x 0"):
        read({"x": pa.array([], pa.int64())})
    with pytest.raises(UsageError, match="does not have columns of one length: x 0"):
        read({"x": pa.array([], pa.list_(pa.int64()))})
    with pytest.raises(UsageError, match="does not have columns of one length: none"):
        read({})


def test_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([NUMBERS, NUMBERS], names=["x", "x"])
    parquet.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(UsageError, match="several columns called 'x'"):
        read_data_set(tmp_path / "d.parquet")


def test_what_is_no_whole_parquet_file_is_a_usage_error(tmp_path):
    path = tmp_path / "d.parquet"
    parquet.write_table(pa.table({"x": pa.array(range(1000))}), path)
    whole = path.read_bytes()
    bent = bytearray(whole)
    bent[-40:-8] = b"\xff" * 32
    for data in (b"", b"PAR1", b"x,y\n1,2\n", whole[:200], whole[:-5], bytes(bent)):
        path.write_bytes(data)
        with pytest.raises(UsageError, match=r"d\.parquet cannot be read: ") as caught:
            read_data_set(path)
        assert "\n" not in caught.value.message
    with pytest.raises(UsageError, match="does not exist"):
        read_data_set(tmp_path / "gone.parquet")


def test_without_pyarrow_it_names_what_to_install(tmp_path, monkeypatch):
    parquet.write_table(pa.table({"x": NUMBERS}), tmp_path / "d.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError) as caught:
        read_data_set(tmp_path / "d.parquet")
    assert caught.value.hint == "pip install 'tf-serving-deploy[data]'"
