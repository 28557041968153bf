# SPDX-License-Identifier: Apache-2.0
"""Data sets: files read as columns."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.errors import UsageError
from tfs_deploy.savedmodel.formats.tfrecord import write_records
from tfs_deploy.verify.measure.data_sets import RECORD, read_data_set


def test_npz(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones((2, 3)), label=np.array(["a", "b"]))
    columns = read_data_set(tmp_path / "d.npz")
    assert columns["x"].shape == (2, 3)
    assert columns["label"].tolist() == [b"a", b"b"]


def test_csv(tmp_path):
    (tmp_path / "d.csv").write_text('x.0,x.1,text,list,n\n1,2,a,"[1, 2]",1.5\n3,4,b,"[3, 4]",2\n')
    columns = read_data_set(tmp_path / "d.csv")
    assert columns["x"].tolist() == [[1, 2], [3, 4]]
    assert columns["text"].tolist() == [b"a", b"b"]
    assert columns["list"].tolist() == [[1, 2], [3, 4]]
    assert columns["n"].dtype == np.float64
    assert "x.0" not in columns


def test_tfrecord(tmp_path):
    records = []
    for number in range(3):
        example = protos.Example()
        example.features.feature["x"].float_list.value.extend([number, number + 1])
        example.features.feature["label"].int64_list.value.append(number)
        records.append(example.SerializeToString())
    write_records(tmp_path / "d.tfrecord", records)
    columns = read_data_set(tmp_path / "d.tfrecord")
    assert columns["x"].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert columns["label"].tolist() == [0, 1, 2]
    assert columns[RECORD].tolist() == records


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.txt", b"", "not a data set of a known kind"),
        ("d.npz", b"no archive", "cannot be read"),
        ("d.csv", b"a,b\n", "has no rows"),
        ("d.csv", b"a,b\n1,2\n3\n", "d.csv:3: 1 cells instead of 2"),
    ],
)
def test_what_is_no_data_set_is_a_usage_error(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_data_set(tmp_path / name)


def test_columns_of_several_lengths_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x=np.ones(2), label=np.ones(3))
    with pytest.raises(UsageError, match="x 2, label 3"):
        read_data_set(tmp_path / "d.npz")
    with pytest.raises(UsageError, match="does not exist"):
        read_data_set(tmp_path / "nowhere.csv")
