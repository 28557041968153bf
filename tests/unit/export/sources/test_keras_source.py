# SPDX-License-Identifier: Apache-2.0
"""What Keras models become: names, batch sizes, calls, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.cli.shared.signature_text import parse_signatures
from tfs_deploy.errors import UsageError
from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.lint import lint_model

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
layers = keras.layers
pytestmark = pytest.mark.tensorflow


def export(source: Any, tmp_path: Path, **options: Any) -> td.ExportedVersion:
    return td.export_model(source, tmp_path / "m", check=False, **options)


def contract(info: SignatureInfo) -> tuple[dict[str, str], dict[str, str]]:
    return ({k: str(v) for k, v in info.inputs.items()}, {k: str(v) for k, v in info.outputs.items()})


def functional(**options: Any) -> Any:
    inputs = keras.Input((4,), **options)
    return keras.Model(inputs, layers.Dense(3, name="probabilities")(inputs))


def test_names_come_from_inputs_and_output_layers(tmp_path):
    exported = export(functional(name="row"), tmp_path)
    assert contract(exported.signatures["serving_default"]) == (
        {"row": "float32 [?, 4]"},
        {"probabilities": "float32 [?, 3]"},
    )


def test_a_batch_size_that_the_author_fixed_stays(tmp_path):
    exported = export(functional(name="row", batch_size=2), tmp_path)
    assert exported.signatures["serving_default"].inputs["row"].shape == (2, 4)


@pytest.mark.parametrize("how", ["call", "build", "fit"])
def test_a_batch_size_that_nobody_meant_is_free(tmp_path, how):
    model = keras.Sequential([layers.Dense(3, name="score")])
    if how == "call":
        model(np.zeros((7, 4), "float32"))
    elif how == "build":
        model.build((7, 4))
    else:
        model.compile("sgd", "mse")
        model.fit(np.zeros((16, 4)), np.zeros((16, 3)), batch_size=8, verbose=0)
    exported = export(model, tmp_path, signatures=td.Signature(inputs="row"))
    assert contract(exported.signatures["serving_default"]) == ({"row": "float32 [?, 4]"}, {"score": "float32 [?, 3]"})


def test_a_made_up_input_name_is_refused(tmp_path):
    with pytest.raises(UsageError, match="keras_tensor") as caught:
        export(functional(), tmp_path)
    assert "inputs=" in caught.value.hint
    assert "keras.Input" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_a_counted_output_name_is_warned_of(tmp_path, caplog):
    inputs = keras.Input((4,), name="row")
    model = keras.Model(inputs, layers.Dense(1, name="dense_17")(inputs))
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        export(model, tmp_path)
    assert "dense_17" in caplog.text


def test_dicts_of_inputs_and_outputs_keep_their_keys(tmp_path):
    a, b = keras.Input((4,), name="a"), keras.Input((), dtype="int64", name="b")
    model = keras.Model({"a": a, "b": b}, {"first": layers.Dense(1)(a), "second": b + 1})
    exported = export(model, tmp_path)
    assert contract(exported.signatures["serving_default"]) == (
        {"a": "float32 [?, 4]", "b": "int64 [?]"},
        {"first": "float32 [?, 1]", "second": "int64 [?]"},
    )


def test_several_inputs_under_other_names_stay_in_order(tmp_path):
    first, second = keras.Input((1,), name="zebra"), keras.Input((1,), name="ant")
    model = keras.Model([first, second], keras.ops.subtract(first, second))
    signature = td.Signature(
        inputs={"minuend": ("float32", (None, 1)), "subtrahend": ("float32", (None, 1))}, outputs="d"
    )
    exported = export(model, tmp_path, signatures=signature)
    with td.load_model(exported.path) as loaded:
        assert loaded.predict({"minuend": [[5.0]], "subtrahend": [[2.0]]})["d"].tolist() == [[3.0]]
    by_name = td.Signature(inputs={"ant": ("float32", (None, 1)), "zebra": ("float32", (None, 1))}, outputs="d")
    with td.load_model(export(model, tmp_path, signatures=by_name).path) as loaded:
        assert loaded.predict({"zebra": [[5.0]], "ant": [[2.0]]})["d"].tolist() == [[3.0]]


def test_nested_inputs(tmp_path):
    a, b, c = (keras.Input((1,), name=name) for name in "abc")
    try:
        model = keras.Model({"c": c, "rest": {"b": b, "a": a}}, a + 10 * b + 100 * c)
    except ValueError:
        pytest.skip("this Keras takes no nested inputs")
    exported = export(model, tmp_path, signatures=td.Signature(outputs="sum"))
    with td.load_model(exported.path) as loaded:
        inputs = {"rest_a": [[1.0]], "rest_b": [[2.0]], "c": [[3.0]]}
        assert loaded.predict(inputs)["sum"].tolist() == [[321.0]]


def test_sparse_inputs_are_refused(tmp_path):
    inputs = keras.Input((4,), name="row", sparse=True)
    with pytest.raises(UsageError, match="sparse") as caught:
        export(keras.Model(inputs, layers.Dense(1, name="y")(inputs)), tmp_path)
    assert "dense tensor" in caught.value.hint


class Scorer(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.dense = layers.Dense(2)

    def build(self, input_shape: Any) -> None:
        self.dense.build(input_shape)

    def call(self, row: Any, training: bool = False) -> Any:
        return self.dense(row)

    def doubled(self, row: Any) -> Any:
        return {"double": 2 * self.dense(row)}


def test_a_subclassed_model_that_was_called(tmp_path):
    model = Scorer()
    model(np.zeros((7, 4), "float32"))
    exported = export(model, tmp_path, signatures={"serving_default": td.Signature(outputs=("score",)), "d": "doubled"})
    assert contract(exported.signatures["serving_default"]) == ({"row": "float32 [?, 4]"}, {"score": "float32 [?, 2]"})
    assert contract(exported.signatures["d"]) == ({"row": "float32 [?, 4]"}, {"double": "float32 [?, 2]"})
    with pytest.raises(UsageError, match="outputs have no names"):
        export(model, tmp_path)


@pytest.mark.parametrize("spec", [("float32", (None, 4)), keras.InputSpec(shape=(None, 4), dtype="float32")])
def test_a_subclassed_model_that_was_only_given_a_spec(tmp_path, spec):
    signature = td.Signature(inputs={"row": spec}, outputs="score")
    exported = export(Scorer(), tmp_path, signatures=signature)
    assert contract(exported.signatures["serving_default"]) == ({"row": "float32 [?, 4]"}, {"score": "float32 [?, 2]"})


def test_an_unbuilt_model_without_a_spec_is_refused(tmp_path):
    for model in (Scorer(), keras.Sequential([layers.Dense(2)])):
        with pytest.raises(UsageError, match="does not know the shape and dtype") as caught:
            export(model, tmp_path)
        assert "inputs=" in caught.value.hint


def test_the_hint_for_a_call_with_several_arguments_can_be_copied(tmp_path):
    """Keras 3 records the shape of the first argument only."""

    class Pair(keras.Model):
        def call(self, user: Any, item: Any, training: bool = False) -> Any:
            return {"sum": user + item}

    model = Pair()
    model(np.ones((2, 3), np.int64), np.ones((2, 3), np.int64))
    examples = {"serving_default": {"user": np.ones((1, 3), np.int64), "item": np.ones((1, 3), np.int64)}}
    with pytest.raises(UsageError, match="does not know the shape and dtype") as caught:
        export(model, tmp_path, examples=examples)
    given = "Signature(inputs={'user': ('int64', (None, 3)), 'item': ('int64', (None, 3))})"
    line = "serving_default(user: int64[?, 3], item: int64[?, 3])"
    assert given in caught.value.hint
    assert f"-s '{line}'" in caught.value.hint
    signatures = parse_signatures([line])
    exported = export(model, tmp_path, signatures=signatures, examples=examples)
    inputs, _ = contract(exported.signatures["serving_default"])
    assert inputs == {"item": "int64 [?, 3]", "user": "int64 [?, 3]"}


def test_a_subclassed_model_with_a_dict_of_inputs(tmp_path):
    class Summing(keras.Model):
        def call(self, features: Any) -> Any:
            return {"sum": features["a"] + 10 * features["b"]}

    model = Summing()
    model({"a": np.zeros((3, 1), "float32"), "b": np.zeros((3, 1), "float32")})
    exported = export(model, tmp_path)
    with td.load_model(exported.path) as loaded:
        assert loaded.predict({"b": [[2.0]], "a": [[1.0]]})["sum"].tolist() == [[21.0]]


def test_functions_beside_the_model_share_its_variables(tmp_path):
    model = functional(name="row")

    def top(row: Any) -> Any:
        return tf.math.top_k(model(row), 2)

    signatures = {
        "serving_default": td.Signature(),
        "top": td.Signature(top, outputs=("scores", "classes")),
        "spec": td.Signature(top, inputs={"row": tf.TensorSpec((1, 4))}, outputs={"best": "values", "which": 1}),
        "fields": td.Signature(top),
    }
    exported = export(model, tmp_path, signatures=signatures)
    assert contract(exported.signatures["top"]) == (
        {"row": "float32 [?, 4]"},
        {"scores": "float32 [?, 2]", "classes": "int32 [?, 2]"},
    )
    assert exported.signatures["spec"].inputs["row"].shape == (1, 4)
    assert list(exported.signatures["spec"].outputs) == ["best", "which"]
    assert list(exported.signatures["fields"].outputs) == ["indices", "values"]
    variables = td.inspect_model(exported.path).variables
    assert sum("kernel" in name for name in variables_names(variables)) == 1


def variables_names(variables: Any) -> list[str]:
    return [getattr(variable, "name", str(variable)) for variable in variables]


def test_optimizer_state_stays_behind(tmp_path):
    model = functional(name="row")
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 3)), verbose=0)
    size = (export(model, tmp_path).path / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert size < 3 * (4 * 3 + 3) * 4 + 2000


def test_layers_that_differ_in_training_are_exported_for_inference(tmp_path):
    inputs = keras.Input((4,), name="row")
    model = keras.Model(inputs, layers.Dropout(0.9, name="kept")(inputs))
    with td.load_model(export(model, tmp_path).path) as loaded:
        assert loaded.predict({"row": [[1.0, 2.0, 3.0, 4.0]]})["kept"].tolist() == [[1.0, 2.0, 3.0, 4.0]]


@pytest.mark.parametrize("baked", [True, False])
def test_layers_called_with_training_keep_it(tmp_path, baked: bool):
    """As ``model(x)`` and Keras' own export have it; lint says that the answers differ from call to call."""
    inputs = keras.Input((64,), name="row")
    model = keras.Model(inputs, layers.Dropout(0.5, name="kept")(inputs, training=baked))
    exported = export(model, tmp_path)
    with td.load_model(exported.path) as loaded:
        first, second = (loaded.predict({"row": np.ones((1, 64), np.float32)})["kept"].tolist() for _ in range(2))
    assert (first != second) == baked
    assert any(finding.rule == "TFS206" for finding in lint_model(exported.path)) == baked


@pytest.mark.parametrize("nested", [False, True])
def test_random_layers_that_nothing_told_to_train_do_not(tmp_path, nested: bool):
    """Keras calls them with ``training=True`` by default, its ``predict`` with False."""
    inputs = keras.Input((4, 4, 1), name="image")
    augment = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.RandomBrightness(0.9, seed=1), layers.RandomFlip(seed=1)]
    )
    random = augment if nested else layers.RandomFlip(seed=1)
    model = keras.Model(inputs, layers.Flatten(name="pixels")(random(inputs)))
    image = np.random.default_rng(0).random((4, 4, 4, 1), np.float32)
    with td.load_model(export(model, tmp_path).path) as loaded:
        for _ in range(3):
            np.testing.assert_allclose(loaded.predict({"image": image})["pixels"], image.reshape(4, -1), rtol=1e-6)


def test_a_nested_model_with_dropout_that_is_to_stay_keeps_it(tmp_path):
    inputs = keras.Input((64,), name="row")
    inner = keras.Model(inputs, layers.Dropout(0.5)(inputs, training=True))
    outer = keras.Input((64,), name="row")
    exported = export(keras.Model(outer, layers.Identity(name="kept")(inner(outer))), tmp_path)
    with td.load_model(exported.path) as loaded:
        first, second = (loaded.predict({"row": np.ones((1, 64), np.float32)})["kept"].tolist() for _ in range(2))
    assert first != second


def test_preprocessing_layers_bring_their_tables(tmp_path):
    vectorize = layers.TextVectorization(output_sequence_length=3)
    vectorize.adapt(["the cat sat", "the dog"])
    normalize = layers.Normalization()
    normalize.adapt(np.arange(8, dtype=np.float32).reshape(4, 2))
    model = keras.Sequential([keras.Input((), dtype="string", name="text"), vectorize])
    signatures = {
        "serving_default": td.Signature(outputs="tokens"),
        "normal": td.Signature(lambda x: {"y": normalize(x)}, inputs={"x": ("float32", (None, 2))}),
    }
    examples = {"serving_default": {"text": ["the dog", "bird"]}, "normal": {"x": [[0, 1]]}}
    exported = td.export_model(model, tmp_path / "m", signatures=signatures, examples=examples)
    with td.load_model(exported.path) as loaded:
        assert loaded.predict({"text": ["the dog"]})["tokens"].tolist() == vectorize(["the dog"]).numpy().tolist()


@pytest.mark.parametrize(
    ("signature", "message", "hint"),
    [
        (td.Signature("predict"), "works on numpy arrays", "leave the function out"),
        (td.Signature("sumary"), "has no method 'sumary'", "summary"),
        (td.Signature(inputs=("a", "b")), "2 input names for a model that takes 1", None),
        (td.Signature(inputs={"a": ("float32", (None, 4)), "b": ("float32", ())}), "2 inputs for a model", None),
        (td.Signature(outputs=("a", "b")), "2 output names for 1 result", "name each result"),
        (td.Signature(outputs={"a": 3}), "is result 3, but there are only 1", None),
        (td.Signature(inputs=("class",)), "cannot be an input name", "class_"),
        (td.Signature(inputs={"row": ("float32", (None, 5))}), "cannot be traced", None),
        (td.Signature(outputs={"p": ("int64", (None,))}), "output 'p' is float32", "output's spec"),
        (td.Signature(lambda row: row.numpy(), outputs="y"), "cannot be traced", "keras.ops"),
        (td.Signature(lambda row: {"y": tf.RaggedTensor.from_tensor(row)}), "RaggedTensor", "to_tensor"),
        (td.Signature(lambda row: {"y": object()}), "cannot be traced", None),
        (td.Signature(lambda row: {}), "has no output", None),
        (td.Signature(lambda row: None), "has no output", None),
        (td.Signature(lambda a, b: a, outputs="y"), "the function takes (a, b)", "function's parameters"),
    ],
)
def test_signatures_that_do_not_fit(tmp_path, signature, message, hint):
    with pytest.raises(UsageError) as caught:
        export(functional(name="row"), tmp_path, signatures=signature)
    assert message in caught.value.message
    assert "\x1b" not in caught.value.message  # Keras prints in bold
    assert hint is None or hint in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_what_tensorflow_says_of_a_function_beyond_2_gb_is_translated(tmp_path):
    """As seen with 2.2 GB of constants in a tf.function, TensorFlow 2.21."""

    def lost(row: Any) -> Any:
        raise TypeError("Signature specifies 0 arguments, got: 1. Expected inputs: [].")

    with pytest.raises(UsageError, match="the graph is larger than 2 GB") as caught:
        export(functional(name="row"), tmp_path, signatures=td.Signature(lost, outputs="y"))
    assert "tf.Variable" in caught.value.hint


def test_two_outputs_of_one_name(tmp_path):
    inputs = keras.Input((4,), name="row")
    dense = layers.Dense(4, name="same")
    model = keras.Model(inputs, [dense(inputs), dense(dense(inputs))])
    with pytest.raises(UsageError, match="two outputs have the same name"):
        export(model, tmp_path)
    exported = export(model, tmp_path, signatures=td.Signature(outputs=("first", "second")))
    assert set(exported.signatures["serving_default"].outputs) == {"first", "second"}


def test_python_functions_are_refused(tmp_path):
    def slow(row: Any) -> Any:
        return {"y": tf.py_function(lambda value: value, [row], tf.float32)}

    with pytest.raises(UsageError, match="EagerPyFunc"):
        export(functional(name="row"), tmp_path, signatures=td.Signature(slow))
    assert not (tmp_path / "m").exists()


def test_our_own_tensor_spec_is_a_spec(tmp_path):
    spec = TensorSpec("whatever", "float32", (None, 4))
    exported = export(functional(name="row"), tmp_path, signatures=td.Signature(inputs={"x": spec}))
    assert list(exported.signatures["serving_default"].inputs) == ["x"]
