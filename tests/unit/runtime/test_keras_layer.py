# SPDX-License-Identifier: Apache-2.0
"""A signature as a layer of a real Keras model."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy import protos
from tfs_deploy.codec import encode_tensor
from tfs_deploy.errors import RequestError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.tensorflow,
    # Keras' own, with the newest numpy
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    """Export a model with a variable and a table: ``row`` [?, 3] and ``word`` [?] to ``score`` and ``number``."""
    weight = tf.Variable([[1.0], [2.0], [3.0]])
    words = tf.lookup.KeyValueTensorInitializer(["cat", "dog"], tf.constant([1, 2], tf.int64))
    table = tf.lookup.StaticHashTable(words, 0)

    def score(row: Any, word: Any) -> Any:
        number = table.lookup(word)
        return {"score": row @ weight + tf.cast(number, tf.float32)[:, None], "number": number}

    signatures = {
        "serving_default": td.Signature(lambda row: {"score": row @ weight}, inputs={"row": ("float32", (None, 3))}),
        "both": td.Signature(score, inputs={"row": ("float32", (None, 3)), "word": ("string", (None,))}),
    }
    return td.export_model(tf.Module(), tmp_path / "scores", signatures=signatures, check=False).path


def layer_of(path: Path, signature: str | None = None, **options: Any) -> Any:
    with td.load_model(path) as model:
        return model.as_keras_layer(signature, **options)


def test_one_input_alone_or_by_name(scored: Path) -> None:
    layer = layer_of(scored, name="scores")
    rows = np.float32([[1, 0, 0], [0, 1, 1]])
    assert layer.name == "scores"
    assert layer(rows)["score"].numpy().tolist() == [[1.0], [5.0]]
    assert layer({"row": rows})["score"].numpy().tolist() == [[1.0], [5.0]]


def test_several_inputs_in_a_functional_model(scored: Path) -> None:
    row, word = keras.Input((3,), name="row"), keras.Input((), dtype="string", name="word")
    model = keras.Model([row, word], layer_of(scored, "both")({"row": row, "word": word}))
    rows, words = tf.constant([[1.0, 0, 0], [0, 0, 1]]), tf.constant(["dog", "cow"])
    answer = model([rows, words])
    assert answer["score"].numpy().tolist() == [[3.0], [3.0]]
    assert answer["number"].numpy().tolist() == [2, 0]
    with td.load_model(scored) as direct:
        expected = direct.predict({"row": rows.numpy(), "word": ["dog", "cow"]}, "both")
    np.testing.assert_array_equal(answer["score"], expected["score"])


def test_an_input_with_a_default_may_be_left_out(tmp_path: Path) -> None:
    def scale(inputs: Any) -> Any:
        return {"y": inputs["capital-gain"] * inputs["by"]}

    specs = {"capital-gain": ("float32", (None,)), "by": ("float32", ())}
    path = td.export_model(tf.Module(), tmp_path / "m", signatures=td.Signature(scale, inputs=specs), check=False).path
    file = path / "saved_model.pb"
    model = protos.SavedModel.FromString(file.read_bytes())
    default = encode_tensor(np.float32(2.0))
    model.meta_graphs[0].signature_def["serving_default"].defaults["by"].ParseFromString(default)
    file.write_bytes(model.SerializeToString())
    (path / "assets.extra" / "tfs_deploy.json").unlink()
    layer = layer_of(path)
    for given in (np.float32([3.0]), {"capital-gain": np.float32([3.0])}):
        assert layer(given)["y"].numpy().tolist() == [6.0]
    assert layer({"capital-gain": np.float32([3.0]), "by": np.float32(5.0)})["y"].numpy().tolist() == [15.0]


def test_what_is_around_it_is_trained_and_it_is_not(scored: Path) -> None:
    keras.utils.set_random_seed(1)
    inputs = keras.Input((2,), name="x")
    before = keras.layers.Dense(3, name="before")
    layer = layer_of(scored)
    outputs = keras.layers.Dense(1, name="after")(layer(before(inputs))["score"])
    model = keras.Model(inputs, outputs)
    assert [weight.path for weight in model.trainable_weights] == [
        *("before/kernel", "before/bias", "after/kernel", "after/bias")
    ]
    x = np.random.default_rng(0).random((64, 2), np.float32)
    y = (x @ np.float32([[2.0], [-1.0]])).astype(np.float32)
    kernel = before.kernel.numpy().copy()
    model.compile(keras.optimizers.Adam(0.02), "mse")
    losses = model.fit(x, y, epochs=20, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert not np.array_equal(before.kernel.numpy(), kernel)
    assert layer(np.float32([[1, 1, 1]]))["score"].numpy().tolist() == [[6.0]]


def test_a_keras_model_with_it_is_saved_and_loaded_elsewhere(scored: Path, tmp_path: Path) -> None:
    inputs = keras.Input((3,), name="row")
    model = keras.Model(inputs, layer_of(scored)(inputs)["score"] * 2.0)
    file = tmp_path / "m.keras"
    model.save(file)
    code = f"""
        import keras, numpy as np
        import tfs_deploy.runtime.keras_layer  # makes the layer known to Keras
        model = keras.models.load_model({str(file)!r})
        print(model(np.float32([[1, 1, 1]])).numpy().tolist())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.stdout == "[[12.0]]\n", result.stderr
    scored.rename(scored.with_name("2"))
    with pytest.raises(TypeError, match="scores/1 does not exist"):  # Keras wraps what its layers raise
        keras.models.load_model(file)


def test_a_keras_model_with_it_is_exported_whole(scored: Path, tmp_path: Path) -> None:
    row, word = keras.Input((3,), name="row"), keras.Input((), dtype="string", name="word")
    outputs = layer_of(scored, "both")({"row": row, "word": word})
    model = keras.Model({"row": row, "word": word}, {"twice": outputs["score"] * 2.0})
    examples = {"serving_default": {"row": np.ones((2, 3), np.float32), "word": ["dog", "cow"]}}
    exported = td.export_model(model, tmp_path / "twice", examples=examples)
    scored.rename(scored.with_name("2"))
    with td.load_model(exported.path) as alone:
        assert alone.predict(examples["serving_default"])["twice"].tolist() == [[16.0], [12.0]]


def test_what_it_refuses(scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of(scored, "both")
    with pytest.raises(RequestError, match="not by name") as caught:
        layer.call(tf.ones([1, 3]))
    assert "row, word" in (caught.value.hint or "")
    with pytest.raises(RequestError, match="are row, wrod"):
        layer.call({"row": tf.ones([1, 3]), "wrod": tf.constant(["a"])})
    with pytest.raises(RequestError, match="unknown signature 'bth'"):
        layer_of(scored, "bth")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="Keras runs on jax"):
        layer_of(scored)
