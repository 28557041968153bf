# SPDX-License-Identifier: Apache-2.0
"""Models of tf_keras (Keras 2), which record the names, dtypes and shapes of their inputs when they are called."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.errors import UsageError
from tfs_deploy.export.sources.kinds import open_source

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")
pytestmark = pytest.mark.tensorflow

WORDS = {"user_id": ["a", "b"], "movie": ["x", "y"]}
STRINGS = ("string", (None,))


class Ranking(tf_keras.Model):
    """As the ranking models of tensorflow-recommenders."""

    def __init__(self) -> None:
        super().__init__()
        self.users = tf_keras.Sequential([tf_keras.layers.Hashing(10), tf_keras.layers.Embedding(10, 4)])
        self.rating = tf_keras.layers.Dense(1)

    def call(self, features: Any) -> Any:
        users, movies = self.users(features["user_id"]), self.users(features["movie"])
        return {"rating": self.rating(tf.concat([users, 2.0 * movies], 1))}


class Plain(tf_keras.Model):
    def call(self, x: Any, mask: Any = None, training: bool | None = None) -> Any:
        return {"y": x * (3 if training else 2)}


class Pair(tf_keras.Model):
    def call(self, inputs: Any) -> Any:
        num, den = inputs
        return {"r": num / tf.cast(den, tf.float32)}


class TwoArguments(tf_keras.Model):
    def call(self, num: Any, den: Any = None) -> Any:
        return {"r": num / den}


def specs(model: Any, **signature: Any) -> dict[str, str]:
    opened = open_source(model, None, {"serving_default": td.Signature(**signature)}, ["serve"])
    return {name: str(spec) for name, spec in (opened.inputs("serving_default") or {}).items()}


def test_a_subclassed_model_knows_its_dict(tmp_path):
    model = Ranking()
    expected = model({name: tf.constant(words) for name, words in WORDS.items()})["rating"].numpy()
    for inputs in (None, ["user_id", "movie"], {"movie": STRINGS, "user_id": STRINGS}):
        assert specs(model, inputs=inputs) == {"movie": "string [?]", "user_id": "string [?]"}
    exported = td.export_model(model, tmp_path / "m", examples={"serving_default": WORDS})
    with td.load_model(exported.path) as loaded:
        np.testing.assert_allclose(loaded.predict(WORDS)["rating"], expected, rtol=1e-6)


def test_arguments_and_lists():
    plain, pair, two = Plain(), Pair(), TwoArguments()
    plain(tf.ones((2, 3), tf.int64))
    assert specs(plain) == {"x": "int64 [?, 3]"}
    pair([tf.ones((2,)), tf.constant([1, 2])])
    assert specs(pair, inputs=["num", "den"]) == {"num": "float32 [?]", "den": "int32 [?]"}
    with pytest.raises(UsageError, match=r"only places: inputs\[0\], inputs\[1\]"):
        specs(pair)
    two(tf.ones((2,)), den=tf.ones((2,)))
    assert specs(two) == {"num": "float32 [?]", "den": "float32 [?]"}
    opened = open_source(two, None, None, ["serve"])
    answer = opened.run("serving_default", {"num": np.float32([6.0]), "den": np.float32([2.0])})
    assert answer["r"].tolist() == [3.0]


def test_graphs_keep_the_names_of_their_inputs_and_outputs():
    x, y = tf_keras.Input((1,), name="x"), tf_keras.Input((1,), name="y")
    named = tf_keras.layers.Lambda(lambda pair: pair[0] - pair[1], name="difference")([x, y])
    for model in (tf_keras.Model([y, x], named), tf_keras.Model({"x": x, "y": y}, {"difference": named})):
        opened = open_source(model, None, None, ["serve"])
        answer = opened.run("serving_default", {"x": np.float32([[6.0]]), "y": np.float32([[2.0]])})
        assert {name: value.tolist() for name, value in answer.items()} == {"difference": [[4.0]]}


def test_a_batch_size_that_was_only_the_first_is_free():
    model = tf_keras.Sequential([tf_keras.layers.Dense(2, name="score")])
    model(np.zeros((7, 3), "float32"))
    assert specs(model, inputs=["row"]) == {"row": "float32 [?, 3]"}
