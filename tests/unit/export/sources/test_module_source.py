# SPDX-License-Identifier: Apache-2.0
"""``tf.Module``s, ``tf.function``s and loaded SavedModels as sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.errors import UsageError
from tfs_deploy.savedmodel.goldens import read_goldens

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

SPEC = ("float32", (None,))


def export(source: Any, tmp_path: Path, **options: Any) -> td.ExportedVersion:
    return td.export_model(source, tmp_path / "m", check=False, **options)


class Scaling(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable(2.0)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def scale(self, x: Any) -> Any:
        return {"y": x * self.factor}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.float32)])
    def shift(self, value: Any, by: Any) -> Any:
        return {"y": value + by}

    def plain(self, x: Any) -> Any:
        return x + self.factor

    @tf.function
    def untyped(self, x: Any) -> Any:
        return {"y": x}


class Callable(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def __call__(self, x: Any) -> Any:
        return {"y": x + 1}


def test_a_module_offers_its_functions_with_an_input_signature(tmp_path):
    exported = export(Scaling(), tmp_path)
    assert {name: sorted(info.inputs) for name, info in exported.signatures.items()} == {
        "scale": ["x"],
        "shift": ["by", "value"],
    }


def test_a_module_that_can_be_called_is_the_default(tmp_path):
    assert list(export(Callable(), tmp_path).signatures) == ["serving_default"]
    named = export(Callable(), tmp_path, signatures=td.Signature(inputs=["z"], outputs=["y"]))
    assert list(named.signatures["serving_default"].inputs) == ["z"]


def test_methods_by_name(tmp_path):
    signatures = {
        "serving_default": "scale",
        "plain": td.Signature("plain", inputs={"x": SPEC}, outputs="y"),
        "renamed": td.Signature("shift", inputs=("a", "b"), outputs={"total": "y"}),
    }
    exported = export(Scaling(), tmp_path, signatures=signatures)
    with td.load_model(exported.path) as model:
        assert model.predict({"x": [3.0]})["y"].tolist() == [6.0]
        assert model.predict({"x": [3.0]}, "plain")["y"].tolist() == [5.0]
        assert model.predict({"a": [3.0], "b": 0.5}, "renamed")["total"].tolist() == [3.5]


@pytest.mark.parametrize(
    ("signature", "message", "hint"),
    [
        ("scala", "has no method 'scala'", "scale"),
        ("untyped", "the inputs of its function are unknown", "inputs="),
        (td.Signature(), "does not name a function", "method name"),
        (td.Signature("scale", outputs="z"), "does not return 'z'", "y"),
        (td.Signature("scale", inputs={"q": ("string", (None,))}), "cannot be traced", None),
    ],
)
def test_signatures_that_do_not_fit(tmp_path, signature, message, hint):
    with pytest.raises(UsageError) as caught:
        export(Scaling(), tmp_path, signatures={"serving_default": signature})
    assert message in caught.value.message
    assert hint is None or hint in caught.value.hint


def test_a_module_with_nothing_to_offer(tmp_path):
    with pytest.raises(UsageError, match=r"has no tf\.function"):
        export(tf.Module(), tmp_path)


def test_one_function_and_a_dict_of_them(tmp_path):
    module = Scaling()
    assert list(export(module.scale, tmp_path).signatures) == ["serving_default"]
    several = {"serving_default": module.scale, "shift": module.shift}
    assert sorted(export(several, tmp_path).signatures) == ["serving_default", "shift"]
    chosen = export(several, tmp_path, signatures={"serving_default": "shift"})
    assert sorted(chosen.signatures["serving_default"].inputs) == ["by", "value"]
    with pytest.raises(UsageError, match="unknown function 'shfit'") as caught:
        export(several, tmp_path, signatures={"serving_default": "shfit"})
    assert "shift" in caught.value.hint


def test_a_concrete_function_and_nested_inputs(tmp_path):
    @tf.function(input_signature=[{"a": tf.TensorSpec([None]), "b": tf.TensorSpec([None])}])
    def total(values):
        return {"total": values["a"] + 10 * values["b"]}

    for source in (total, total.get_concrete_function()):
        exported = export(source, tmp_path, signatures=td.Signature(inputs=("a", "b")) if source is total else None)
        with td.load_model(exported.path) as model:
            first, second = sorted(model.signatures["serving_default"].inputs)
            assert model.predict({first: [1.0], second: [2.0]})["total"].tolist() == [21.0]


def test_python_control_flow_becomes_part_of_the_graph(tmp_path):
    def absolute(x):
        if tf.reduce_sum(x) < 0:
            return {"y": -x}
        return {"y": x}

    signature = td.Signature(absolute, inputs={"x": SPEC})
    exported = td.export_model(
        tf.Module(), tmp_path / "m", signatures=signature, examples={"serving_default": [{"x": [-1.0]}, {"x": [2.0]}]}
    )
    with td.load_model(exported.path) as model:
        assert model.predict({"x": [-3.0]})["y"].tolist() == [3.0]


def test_variables_and_tables_that_nobody_tracks(tmp_path):
    weight = tf.Variable(3.0)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), -1.0)
    counter = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, 0.0)
    counter.insert(["a"], [5.0])
    signature = td.Signature(
        lambda word: {"y": weight * table.lookup(word) + counter.lookup(word)}, inputs={"word": (str, (None,))}
    )
    exported = td.export_model(
        tf.Module(), tmp_path / "m", signatures=signature, examples={"serving_default": {"word": ["a", "b", "c"]}}
    )
    with td.load_model(exported.path) as model:
        assert model.predict({"word": ["a", "b", "c"]})["y"].tolist() == [8.0, 6.0, -3.0]


def test_what_tensorflow_loaded(tmp_path):
    module = Scaling()
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": module.scale})
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert list(export(loaded, tmp_path).signatures) == ["serving_default"]
    signatures = {"serving_default": "serving_default", "shift": "shift"}
    exported = export(loaded, tmp_path, signatures=signatures)
    with td.load_model(exported.path) as model:
        assert model.predict({"x": [3.0]})["y"].tolist() == [6.0]


def test_every_dtype_goes_through(tmp_path):
    names = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    names += ["bool", "bfloat16", "complex64"]
    inputs = {f"x_{name}": (name, (None,)) for name in names} | {"x_text": (str, (None,))}
    signature = td.Signature(lambda **values: {f"y{key[1:]}": value for key, value in values.items()}, inputs=inputs)
    example: dict[str, Any] = {f"x_{name}": tf.cast([0, 1], name) for name in names}
    example["x_text"] = [b"\xff\x00", "text"]
    exported = td.export_model(tf.Module(), tmp_path / "m", signatures=signature, examples={"serving_default": example})
    (golden,) = read_goldens(exported.path)
    for name in names:
        assert golden.outputs[f"y_{name}"].dtype == np.asarray(example[f"x_{name}"]).dtype


def test_inputs_as_a_list_of_named_specs(tmp_path):
    specs = [tf.TensorSpec([None], name="x"), tf.TensorSpec([None], name="z")]
    exported = export(tf.Module(), tmp_path, signatures=td.Signature(lambda x, z: {"y": x - z}, inputs=specs))
    assert list(exported.signatures["serving_default"].inputs) == ["x", "z"]
    for wrong in ([tf.TensorSpec([None])], [specs[0], specs[0]], ["x", specs[0]]):
        with pytest.raises(UsageError, match="names of their own"):
            td.Signature(lambda x: x, inputs=wrong)


def test_a_model_that_counts_its_calls_is_written_as_it_was(tmp_path):
    class Counting(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([None], name="x")])
        def add(self, x: Any) -> Any:
            self.calls.assign_add(1.0)
            return {"y": x + self.calls}

    exported = td.export_model(Counting(), tmp_path / "m", examples={"serving_default": {"x": [1.0]}})
    with td.load_model(exported.path) as model:
        assert model.predict({"x": [0.0]})["y"].tolist() == [1.0]


def test_ragged_inputs_are_refused(tmp_path):
    class Ragged(tf.Module):
        @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
        def dense(self, x: Any) -> Any:
            return {"y": x.to_tensor()}

    with pytest.raises(UsageError, match="RaggedTensorSpec") as caught:
        export(Ragged(), tmp_path, signatures={"serving_default": "dense"})
    assert "row lengths" in caught.value.hint
    with pytest.raises(UsageError, match=r"has no tf\.function"):
        export(Ragged(), tmp_path)


@pytest.mark.parametrize("source", [3, object(), None, [], {}, {"a": 3}, lambda x: x])
def test_what_is_no_source(tmp_path, source):
    with pytest.raises(UsageError, match="cannot be exported"):
        export(source, tmp_path)


def test_an_unknown_kind(tmp_path):
    with pytest.raises(UsageError, match="'modul' is not a kind") as caught:
        export(Scaling(), tmp_path, kind="modul")
    assert "module" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "source", "message"),
    [
        ("keras", Scaling(), "is not a Keras model"),
        ("module", "somewhere", "is a path"),
        ("functions", "somewhere", "is a path"),
        ("session", "somewhere", "is a path"),
        ("savedmodel", Scaling(), "is not a path"),
        ("checkpoint", Scaling(), "is not a path"),
    ],
)
def test_a_kind_that_the_source_is_not(tmp_path, kind, source, message):
    with pytest.raises(UsageError, match=message) as caught:
        export(source, tmp_path, kind=kind)
    assert "leave the kind out" in caught.value.hint
