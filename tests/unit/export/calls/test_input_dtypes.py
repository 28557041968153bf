# SPDX-License-Identifier: Apache-2.0
"""The dtype of an input comes from the spec, the example or the graph; nothing is lost by a guess."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.errors import UsageError
from tfs_deploy.export.sources.kinds import open_source

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
pytestmark = pytest.mark.tensorflow


class Same(keras.Model):
    def call(self, ids: Any) -> Any:
        return {"same": ids}


def input_dtypes(model: Any, **dtypes: str) -> dict[str, str]:
    opened = open_source(model, None, None, ["serve"], {"serving_default": dtypes})
    return {name: spec.dtype for name, spec in (opened.inputs("serving_default") or {}).items()}


@pytest.mark.parametrize("dtype", ["int64", "uint8", "float64", "bool", "int32", "float32", "string"])
def test_a_model_that_does_not_know_takes_the_dtype_of_the_example(dtype, caplog):
    model = Same()
    model(np.zeros((1, 1), np.float32))
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        assert input_dtypes(model, ids=dtype) == {"ids": dtype}
    assert not caplog.records


def test_integers_that_float32_cannot_hold_are_served(tmp_path):
    model, ids = Same(), np.int64([[16777217]])
    model(ids)
    exported = td.export_model(model, tmp_path / "m", examples={"serving_default": {"ids": ids}})
    with td.load_model(exported.path) as loaded:
        assert loaded.predict({"ids": ids})["same"].tolist() == [[16777217]]


def test_an_example_that_a_known_dtype_cannot_hold_is_refused(tmp_path):
    x = keras.Input((1,), name="x")
    model = keras.Model(x, layers.Identity(name="y")(x))
    with pytest.raises(UsageError, match="which float32 cannot hold"):
        td.export_model(model, tmp_path / "m", examples={"serving_default": {"x": np.int64([[16777217]])}})


def test_a_lookup_layer_gets_its_strings(tmp_path):
    class Lookup(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.lookup = layers.StringLookup(vocabulary=["a", "b"])

        def call(self, word: Any) -> Any:
            return {"number": self.lookup(word)}

    model = Lookup()
    model(tf.constant(["a"]))
    exported = td.export_model(model, tmp_path / "m", examples={"serving_default": {"word": ["b", "?"]}})
    with td.load_model(exported.path) as loaded:
        assert loaded.predict({"word": ["b"]})["number"].tolist() == [2]


def test_what_the_graph_casts_to_integers_is_an_integer(caplog):
    class Ids(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.embed = layers.Embedding(9, 2)

        def call(self, ids: Any, row: Any = None) -> Any:
            return {"y": self.embed(ids)}

    model = Ids()
    model(np.array([[1, 2]]))
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        assert input_dtypes(model) == {"ids": "int32"}
    assert not caplog.records


def test_a_guess_is_said(caplog):
    model = Same()
    model(np.zeros((1, 1), np.float32))
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        assert input_dtypes(model) == {"ids": "float32"}
    assert "does not keep the dtype of input ids, float32 is assumed" in caplog.text
