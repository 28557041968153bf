# SPDX-License-Identifier: Apache-2.0
"""Models as TensorFlow and Keras write them today, judged without TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.contract import Compatibility, diff_models
from tfs_deploy.savedmodel.lint import lint_model

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """Base path with: 1 plain Keras export, 2 named tf.Module with a vocabulary, 3 one with everything wrong."""
    import keras
    import tensorflow as tf

    base = tmp_path_factory.mktemp("exported")
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10),
        ]
    )
    model.export(base / "1", verbose=False)

    class Good(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            words = tf.lookup.TextFileInitializer(
                str(vocabulary),
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            )
            self.table = tf.lookup.StaticHashTable(words, -1)
            self.weight = tf.Variable(tf.ones([3, 2]))

        @tf.function(
            input_signature=[tf.TensorSpec([None, 3], tf.float32, "features"), tf.TensorSpec([None], tf.string, "word")]
        )
        def serve(self, features, word):
            scores = tf.while_loop(lambda i, _: i < 2, lambda i, s: (i + 1, s * 2.0), [0, features @ self.weight])[1]
            return {"scores": scores, "index": self.table.lookup(word)}

        @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32), tf.TensorSpec([None, 2], tf.float32)])
        def train(self, x, y):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((tf.nn.dropout(x, 0.1) @ self.weight - y) ** 2)
            self.weight.assign_sub(tape.gradient(loss, self.weight))
            tf.print(loss)
            return loss

    vocabulary = tmp_path_factory.mktemp("vocabulary") / "words.txt"
    vocabulary.write_text("a\nb\n")
    good = Good()
    tf.saved_model.save(good, base / "2", signatures=good.serve)

    tf.random.set_seed(None)  # another test of this process may have set one

    class Bad(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(tf.ones([3, 2]))

        @tf.function(input_signature=[tf.TensorSpec([4, 3], tf.float64, "features")])
        def serve(self, features):
            x = tf.cast(features, tf.float32)
            with tf.GradientTape() as tape:
                tape.watch(self.weight)
                y = tf.nn.relu(x @ self.weight)
            gradient = tf.reduce_sum(tape.gradient(y, self.weight))
            tf.print("called")
            self.weight.assign_add(tf.ones([3, 2]))
            tf.io.write_file("/tmp/never-run", tf.strings.as_string(y[0, 0]))
            y += tf.random.uniform([4, 2]) + tf.numpy_function(lambda v: v, [y], tf.float32)
            moments = tf.compat.v1.nn.fused_batch_norm(tf.reshape(y, [1, 2, 2, 2]), [1.0, 1.0], [0.0, 0.0])[0]
            return {"output_0": y + gradient + tf.reduce_sum(moments)}

    bad = Bad()
    tf.saved_model.save(bad, base / "3", signatures={"predict": bad.serve})
    return base


def rules(folder: Path) -> dict[str, str]:
    found = lint_model(folder, ignore=["TFS503", "TFS504"])
    return {finding.rule: finding.severity.value for finding in found}


def test_a_keras_export(exported) -> None:
    info = inspect_model(exported / "1")
    assert info.tensorflow_version.startswith("2.")
    assert sum(variable.dtype == "float32" for variable in info.variables) >= 8
    # What Keras calls inputs and outputs; dropout and batch statistics are not part of what is served.
    assert rules(exported / "1") == {"TFS103": "warning", "TFS104": "warning"}


def test_a_good_module(exported) -> None:
    info = inspect_model(exported / "2")
    assert [(asset.name, asset.size) for asset in info.assets] == [("words.txt", 4)]
    assert [(v.name, v.shape, v.bytes) for v in info.variables] == [("weight", (3, 2), 24)]
    assert {op for scope in info.reached_at_load for op in scope.ops} >= {"InitializeTableFromTextFileV2"}
    assert any("While" in op for scope in info.reached_by("serving_default") for op in scope.ops)
    assert rules(exported / "2") == {}


def test_a_module_with_everything_wrong(exported) -> None:
    assert rules(exported / "3") == {
        "TFS102": "warning",
        "TFS103": "warning",
        "TFS105": "warning",
        "TFS108": "warning",
        "TFS201": "error",
        "TFS203": "error",
        "TFS204": "warning",
        "TFS205": "warning",
        "TFS206": "warning",
        "TFS208": "warning",
    }


def test_a_lost_asset(exported, tmp_path) -> None:
    import shutil

    copy = shutil.copytree(exported / "2", tmp_path / "2")
    (copy / "assets" / "words.txt").unlink()
    assert rules(copy) == {"TFS302": "error"}


def test_different_models_break_clients(exported) -> None:
    diff = diff_models(inspect_model(exported / "1"), inspect_model(exported / "2"))
    assert diff.verdict is Compatibility.BREAKING
    assert diff.ops["Conv2D"] < 0


def test_as_saved_model_cli_sees_it(exported) -> None:
    """Signatures and tags are those that TensorFlow itself reads."""
    import tensorflow as tf

    for version in ("1", "2", "3"):
        info = inspect_model(exported / version)
        loaded = tf.saved_model.load(str(exported / version))
        assert set(loaded.signatures) == set(info.signatures)
        for name, signature in info.signatures.items():
            _, arguments = loaded.signatures[name].structured_input_signature
            assert specs(arguments) == {k: (s.dtype, s.shape) for k, s in signature.inputs.items()}
            outputs = loaded.signatures[name].structured_outputs
            assert specs(outputs) == {k: (s.dtype, s.shape) for k, s in signature.outputs.items()}


def specs(tensors):
    """Dtype and shape of TensorFlow's own specifications by name."""
    return {
        name: (spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape.as_list()))
        for name, spec in tensors.items()
    }
