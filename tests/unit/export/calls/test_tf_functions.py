# SPDX-License-Identifier: Apache-2.0
"""``tf.function``s: bound Python arguments, default values, names, ragged inputs."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.errors import UsageError
from tfs_deploy.export.sources.kinds import open_source
from tfs_deploy.savedmodel.goldens import read_goldens

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

X = np.float32([1.0, 2.0])
SPEC = ("float32", (None,))
TWO, SEVEN = tf.constant(2.0), tf.constant(7.0)


class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x: Any, training: bool = False, mode: str = "plain") -> Any:
        return {"y": x * (3.0 if training else 2.0)}

    @tf.function
    def open(self, x: Any, training: bool = False, *, factor: int = 1) -> Any:
        return {"y": x * (3.0 if training else 2.0) * factor}

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([], tf.float32, name="scale")]
    )
    def scaled(self, x: Any, scale: Any = TWO) -> Any:
        return {"y": x * scale}


def run(source: Any, inputs: dict[str, Any], signature: Any = None) -> Any:
    opened = open_source(source, None, None if signature is None else {"serving_default": signature}, ["serve"])
    traced = opened._concrete["serving_default"]  # type: ignore[attr-defined]
    order = list(opened.inputs("serving_default") or ())
    answer = traced(*(tf.constant(inputs[name]) for name in order))
    original = opened.run("serving_default", inputs)
    for name in original:
        np.testing.assert_allclose(answer[name], original[name])
    return {name: value.tolist() for name, value in original.items()}


def test_python_arguments_keep_the_values_they_are_bound_to():
    model, spec = Model(), tf.TensorSpec([None], tf.float32, name="x")
    assert run(model.serve, {"x": X}) == {"y": [2.0, 4.0]}
    assert run(model, {"x": X}, td.Signature("serve")) == {"y": [2.0, 4.0]}
    for bound, factor in (({}, 2.0), ({"training": True}, 3.0), ({"training": True, "factor": 5}, 15.0)):
        concrete = model.open.get_concrete_function(spec, **bound)
        assert run(concrete, {"x": X}) == {"y": [factor, 2 * factor]}
        assert run(concrete, {"z": X}, td.Signature(inputs={"z": "x"})) == {"y": [factor, 2 * factor]}


def test_inputs_with_a_default_may_be_left_out(tmp_path):
    model = Model()
    exported = td.export_model(
        model,
        tmp_path / "m",
        signatures={"serving_default": "scaled", "renamed": td.Signature("scaled", inputs={"by": "scale", "x": "x"})},
        examples={"serving_default": [{"x": X}, {"x": X, "scale": 5.0}], "renamed": {"x": X}},
    )
    assert {name: set(info.defaults) for name, info in exported.signatures.items()} == {
        "serving_default": {"scale"},
        "renamed": {"by"},
    }
    assert [sorted(golden.inputs) for golden in read_goldens(exported.path)] == [["x"], ["scale", "x"], ["x"]]
    tf.saved_model.save(model, str(tmp_path / "tf" / "1"), signatures={"serving_default": model.scaled})
    sources = {"copied": {}, "retraced": {"signatures": td.Signature(inputs={"x": "x", "by": "scale"})}}
    for name, options in sources.items():
        copy = td.export_model(tmp_path / "tf", tmp_path / name, examples={"serving_default": {"x": X}}, **options)
        for folder in (exported.path, copy.path):
            with td.load_model(folder) as loaded:
                assert loaded.predict({"x": X}, "serving_default")["y"].tolist() == [2.0, 4.0]


def test_a_default_of_a_plain_function(tmp_path):
    function = lambda x, bias=SEVEN: {"y": x + bias}  # noqa: E731
    signature = td.Signature(function, inputs={"x": SPEC, "bias": ("float32", ())})
    exported = td.export_model(
        tf.Module(), tmp_path / "m", signatures=signature, examples={"serving_default": {"x": X}}
    )
    (golden,) = read_goldens(exported.path)
    assert golden.outputs["y"].tolist() == [8.0, 9.0]
    assert exported.signatures["serving_default"].defaults == {"bias"}


def test_specs_that_are_named_as_other_arguments():
    spec = [tf.TensorSpec([None], name="b"), tf.TensorSpec([None], name="a")]

    @tf.function(input_signature=spec)
    def ratio(a: Any, b: Any) -> Any:
        return {"r": a / b}

    module = tf.Module()
    module.f = ratio
    # as tf.saved_model.save binds them: by the names of the parameters
    assert run(ratio, {"a": np.float32([6.0]), "b": np.float32([2.0])}) == {"r": [3.0]}

    @tf.function(input_signature=[tf.TensorSpec([None], name="b"), tf.TensorSpec([None], name="c")])
    def unclear(a: Any, b: Any) -> Any:
        return {"r": a / b}

    with pytest.raises(UsageError, match="is named 'b', and another argument is called 'b'"):
        run(unclear, {})


def test_names_that_python_cannot_write(tmp_path):
    names = {"capital-gain": SPEC, "user.id": SPEC, "2d": SPEC}
    signature = td.Signature(
        lambda inputs: {f"{name}!": inputs[name] * n for n, name in enumerate(names)}, inputs=names
    )
    example = {name: np.float32([n]) for n, name in enumerate(names)}
    exported = td.export_model(tf.Module(), tmp_path / "m", signatures=signature, examples={"serving_default": example})
    assert sorted(exported.signatures["serving_default"].inputs) == ["2d", "capital-gain", "user.id"]
    # loaded by TensorFlow and traced again, they are still called so
    again = td.export_model(
        exported.path,
        tmp_path / "again",
        signatures=td.Signature(inputs={"gain": "capital-gain", "user.id": None, "2d": None}),
        examples={"serving_default": {"gain": [3.0], "user.id": [1.0], "2d": [2.0]}},
    )
    (golden,) = read_goldens(again.path)
    assert {name: value.tolist() for name, value in golden.outputs.items()} == {
        "2d!": [4.0],
        "capital-gain!": [0.0],
        "user.id!": [1.0],
    }


def test_a_function_beside_a_keras_model_keeps_its_own_inputs():
    keras = pytest.importorskip("keras")
    row = keras.Input((1,), name="row")
    model = keras.Model(row, keras.layers.Rescaling(2.0, name="y")(row))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def parse(text: Any) -> Any:
        return {"y": model(tf.strings.to_number(text)[:, None])}

    assert run(model, {"text": np.array([b"3"], object)}, td.Signature(parse)) == {"y": [[6.0]]}


def test_capitals_stay(tmp_path):
    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None], name="Item")])
    def ratio(User: Any, item: Any, training: Any = None) -> Any:  # noqa: N803
        return {"R": User / item}

    values = {"User": np.float32([6.0]), "Item": np.float32([2.0])}
    module = tf.Module()
    module.ratio = ratio
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=ratio.get_concrete_function())
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    for source, signature in ((ratio, None), (loaded, None), (loaded, td.Signature("ratio"))):
        assert run(source, values, signature) == {"R": [3.0]}


class Partly(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def dense(self, x: Any) -> Any:
        return {"y": x}

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
    def ragged(self, x: Any) -> Any:
        return {"y": x.to_tensor()}

    @tf.function(input_signature=[tf.SparseTensorSpec([None, 2], tf.float32)])
    def sparse(self, x: Any) -> Any:
        return {"y": tf.sparse.to_dense(x)}


def test_functions_that_cannot_be_served_are_named(caplog):
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        opened = open_source(Partly(), None, None, ["serve"])
    assert opened.signature_names() == ["dense"]  # and not serving_default, as if it were the only one
    assert "ragged of Partly is not served: it takes a RaggedTensorSpec" in caplog.text
    assert "sparse of Partly is not served: it takes a SparseTensorSpec" in caplog.text


def test_a_function_that_cannot_be_traced_as_it_says():
    @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
    def keyword_only(x: Any, *, y: Any = 1.0) -> Any:
        return {"y": x + y}

    with pytest.raises(UsageError, match="keyword_only cannot be traced with its input_signature"):
        run(keyword_only, {})
