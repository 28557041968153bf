# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.export.tensorflow import constants

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

TABLE = np.random.default_rng(0).random((1000, 25), np.float32)  # 100 kB


def lookup(kind: str) -> tf.Module:
    """Return a model that gathers rows of a constant in its graph, of one that it captures, or of a variable."""
    module = tf.Module()
    module.table = {
        "graph": lambda: TABLE,
        "captured": lambda: tf.constant(TABLE),
        "variable": lambda: tf.Variable(TABLE),
    }[kind]()
    module.serve = tf.function(
        lambda row: {"values": tf.gather(module.table, row)},
        input_signature=[tf.TensorSpec((None,), tf.int64, name="row")],
    )
    return module


@pytest.mark.parametrize(("kind", "tables"), [("graph", 1), ("captured", 1), ("variable", 0)])
def test_what_a_function_holds_is_counted_through_what_it_calls(kind, tables):
    module = lookup(kind)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int64)])
    def outer(row):
        return module.serve(row)

    concrete = outer.get_concrete_function()
    assert 0 <= constants.constant_bytes([concrete]) - tables * TABLE.nbytes < 20_000
    assert constants.constant_bytes([concrete, concrete]) == 2 * constants.constant_bytes([concrete])


@pytest.mark.parametrize(
    ("held", "room"), [(constants._LARGE - 1, 0), (200 << 20, None), (200 << 20, 1800 << 20), (0, 0)]
)
def test_constants_that_there_is_room_for(monkeypatch, held, room):
    monkeypatch.setattr(constants, "available_bytes", lambda: room)
    constants.check_room(held)


def test_constants_that_no_file_can_hold(monkeypatch):
    monkeypatch.setattr(constants, "available_bytes", lambda: 1 << 50)
    constants.check_room((2 << 30) - 1)
    with pytest.raises(UsageError, match="larger than 2 GB"):
        constants.check_room(2 << 30)


def test_a_model_whose_constants_there_is_no_room_for_is_refused_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "_LARGE", 50_000)
    monkeypatch.setattr(constants, "available_bytes", lambda: 800_000)
    with pytest.raises(EnvironmentFault) as caught:
        td.export_model(lookup("graph"), tmp_path / "m")
    assert str(caught.value).startswith("the model holds 101")
    assert "needs 8" in caught.value.message
    assert "and 800.0 kB are free" in caught.value.message
    assert "tf.Variable" in caught.value.hint
    assert not (tmp_path / "m").exists()
    td.export_model(lookup("variable"), tmp_path / "m", check=False)
