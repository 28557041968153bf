# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow cannot save: errors that name the resource or the limit, instead of TensorFlow's own report."""

from __future__ import annotations

from typing import Any

import pytest

import tfs_deploy as td
from tfs_deploy.errors import UsageError

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow


def table_that_is_gone() -> Any:
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1], [2]), 0)
    handle = table.resource_handle
    return lambda x: {
        "y": tf.raw_ops.LookupTableFindV2(table_handle=handle, keys=tf.cast(x, tf.int32), default_value=0)
    }


def queue() -> Any:
    waiting = tf.queue.FIFOQueue(10, [tf.float32], [[]])
    return lambda x: {"y": x + waiting.dequeue()}


def dataset() -> Any:
    rows = tf.data.Dataset.range(5)
    return lambda x: {"y": x + tf.cast(rows.reduce(tf.constant(0, tf.int64), lambda a, b: a + b), tf.float32)}


def iterator() -> Any:
    rows = iter(tf.data.Dataset.range(5))
    return lambda x: {"y": x + tf.cast(next(rows), tf.float32)}


def variable_by_its_handle() -> Any:
    handle = tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[], shared_name="only_a_handle")
    tf.raw_ops.AssignVariableOp(resource=handle, value=tf.constant(3.0))
    return lambda x: {"y": x + tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32)}


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (table_that_is_gone, "LookupInterface"),
        (queue, "QueueInterface"),
        (dataset, "RangeDatasetOp"),
        (iterator, "IteratorResource"),
        (variable_by_its_handle, "Var"),
    ],
)
def test_a_resource_that_nothing_tracks(tmp_path, make, kind):
    signature = td.Signature(make(), inputs={"x": ("float32", (None,))})
    with pytest.raises(UsageError) as caught:
        td.export_model(tf.Module(), tmp_path / "m", signatures={"serving_default": signature}, check=False)
    assert caught.value.message == f"a function of the model uses a resource ({kind}) that cannot be saved with it"
    assert "attributes of the model" in caught.value.hint
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ValueError("Message tensorflow.SavedModel exceeds maximum protobuf size of 2GB: 2362232012"),
            "larger than 2 GB",
        ),
        (ValueError("something else\nlong"), "TensorFlow cannot save the model: something else long"),
    ],
)
def test_what_else_saving_refuses(tmp_path, monkeypatch, error, message):
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(tf.saved_model, "save", refuse)
    signature = td.Signature(lambda x: {"y": x}, inputs={"x": ("float32", (None,))})
    with pytest.raises(UsageError, match=message):
        td.export_model(tf.Module(), tmp_path / "m", signatures={"serving_default": signature})
    assert not (tmp_path / "m").exists()
