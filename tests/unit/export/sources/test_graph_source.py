# SPDX-License-Identifier: Apache-2.0
"""TensorFlow 1 as source: sessions, checkpoints, frozen graphs; what is left behind and what is refused."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy import protos
from tfs_deploy.errors import ModelError, UsageError

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
pytestmark = pytest.mark.tensorflow

X = np.float32([[1, 2], [3, 4]])
SIGNATURES = {"serving_default": td.Signature(inputs={"x": "x"}, outputs={"y": "y"})}


def trained(folder: Path | None = None, *, initialize: bool = True, resource: bool = False) -> tuple[Any, Any]:
    """A graph with an optimizer, a queue of random values and a summary, and its session."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        kernel = v1.get_variable("kernel", [2, 1], initializer=v1.random_normal_initializer(), use_resource=resource)
        y = tf.matmul(x, kernel, name="y")
        loss = tf.reduce_mean((y - v1.placeholder(tf.float32, [None, 1], name="wanted")) ** 2, name="loss")
        v1.train.AdamOptimizer().minimize(loss, global_step=v1.train.create_global_step())
        session = v1.Session(graph=graph)
        if initialize:
            session.run(v1.global_variables_initializer())
        if folder is not None:
            v1.train.Saver().save(session, str(folder / "model.ckpt"))
    return graph, session


@pytest.mark.parametrize("resource", [False, True])
def test_a_session_is_exported_without_what_training_needs(tmp_path, resource):
    graph, session = trained(resource=resource)
    before = len(graph.get_operations())
    graph.finalize()
    exported = td.export_model(session, tmp_path / "m", signatures=SIGNATURES, examples={"serving_default": {"x": X}})
    assert len(graph.get_operations()) == before
    ops = td.inspect_model(exported.path).ops
    assert not {"ApplyAdam", "ResourceApplyAdam", "RandomStandardNormal", "SquaredDifference"} & set(ops)
    loaded = tf.saved_model.load(str(exported.path))
    expected = session.run("y:0", {"x:0": X})
    np.testing.assert_allclose(loaded.signatures["serving_default"](x=tf.constant(X))["y"], expected, rtol=1e-6)


def test_tensors_operations_and_names(tmp_path):
    graph, session = trained()
    signature = td.Signature(
        inputs={"x": graph.get_tensor_by_name("x:0")},
        outputs={"a": graph.get_operation_by_name("y"), "b": "y", "c": "y:0", "kernel": "kernel/read:0"},
    )
    exported = td.export_model(session, tmp_path / "m", signatures=signature)
    assert sorted(exported.signatures["serving_default"].outputs) == ["a", "b", "c", "kernel"]


@pytest.mark.parametrize(
    ("signatures", "message", "hint"),
    [
        (None, "does not say what to serve", "placeholders: x, wanted"),
        ({"s": td.Signature(inputs={"x": "z"}, outputs={"y": "y"})}, "no tensor 'z'", ""),
        ({"s": td.Signature(inputs={"x": "x"}, outputs={"y": "los"})}, "no tensor 'los'", "loss"),
        ({"s": td.Signature(inputs={"x": "x"}, outputs={"y": "y:3"})}, "no tensor 'y:3'", ""),
        ({"s": td.Signature(inputs={"x": "x"})}, "does not name its outputs", "outputs="),
        ({"s": td.Signature(inputs=("x",), outputs={"y": "y"})}, "does not name its inputs", "inputs="),
        (
            {"s": td.Signature(inputs={"x": "x"}, outputs={"output_0": "y"})},
            "TensorFlow generates the output name",
            "outputs=",
        ),
        ({"s": td.Signature(lambda x: x, {"x": "x"}, {"y": "y"})}, "has tensors, not functions", "SavedModel"),
        (
            {"s": td.Signature(inputs={"inputs": "x"}, outputs={"scores": "y"}, method="classify")},
            "one string input",
            "",
        ),
    ],
)
def test_signatures_that_do_not_fit(tmp_path, signatures, message, hint):
    _, session = trained()
    with pytest.raises(UsageError) as caught:
        td.export_model(session, tmp_path / "m", signatures=signatures)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert not (tmp_path / "m").exists()


def test_variables_without_values(tmp_path):
    _, session = trained(initialize=False)
    with pytest.raises(UsageError, match="a variable has no value") as caught:
        td.export_model(session, tmp_path / "m", signatures=SIGNATURES)
    assert "initializer" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_an_input_that_the_signature_forgets(tmp_path):
    _, session = trained()
    signature = td.Signature(inputs={"x": "x"}, outputs={"loss": "loss"})
    with pytest.raises(UsageError, match="need the placeholder 'wanted'") as caught:
        td.export_model(session, tmp_path / "m", signatures=signature)
    assert "wanted:0" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_an_input_in_the_middle_of_the_graph(tmp_path):
    with tf.Graph().as_default() as graph:
        hidden = tf.add(v1.placeholder(tf.float32, [None], name="x"), 1.0, name="hidden")
        tf.multiply(hidden, 2.0, name="y")
    signature = td.Signature(inputs={"hidden": "hidden"}, outputs={"y": "y"})
    exported = td.export_model(
        v1.Session(graph=graph), tmp_path / "m", signatures=signature, examples={"serving_default": {"hidden": [3.0]}}
    )
    with td.load_model(exported.path) as model:
        assert model.predict({"hidden": [3.0]})["y"].tolist() == [6.0]


def test_an_example_on_which_the_graph_fails(tmp_path):
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None], name="x")
        tf.reshape(x, [3], name="y")
    with pytest.raises(UsageError, match="the graph fails on an example") as caught:
        td.export_model(
            v1.Session(graph=graph),
            tmp_path / "m",
            signatures=SIGNATURES,
            examples={"serving_default": {"x": [1.0]}},
        )
    assert caught.value.hint
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("how", ["directory", "meta", "without its state file", "state file of another machine"])
def test_checkpoints_whose_prefix_is_a_directory(tmp_path, how):
    """``saver.save(session, "DIRECTORY/")`` writes DIRECTORY/.meta, .index and .data-00000-of-00001."""
    (tmp_path / "train").mkdir()
    graph, session = trained()
    with graph.as_default():
        v1.train.Saver().save(session, f"{tmp_path}/train/")
    if how.startswith("without"):
        (tmp_path / "train" / "checkpoint").unlink()
    elif how.startswith("state"):
        (tmp_path / "train" / "checkpoint").write_text('model_checkpoint_path: "/data/runs/3/"\n')
    source = tmp_path / "train" / ".meta" if how == "meta" else tmp_path / "train"
    exported = td.export_model(source, tmp_path / "m", signatures=SIGNATURES, check=False)
    with td.load_model(exported.path) as model:
        np.testing.assert_allclose(model.predict({"x": X})["y"], session.run("y:0", {"x:0": X}), rtol=1e-6)


def contradict_shapes(graph_def: Any) -> None:
    """Note an output shape that the graph contradicts, as TensorFlow 1 did for some gradients."""
    node = next(node for node in graph_def.node if node.name == "y")
    node.attr["_output_shapes"].list.Clear()
    shape = node.attr["_output_shapes"].list.shape.add()
    for size in (3, 7):
        shape.dim.add(size=size)


@pytest.mark.parametrize("how", ["checkpoint", "frozen", "traced again"])
def test_noted_shapes_that_contradict_the_graph_do_not_count(tmp_path, how):
    graph, session = trained(tmp_path)
    expected = session.run("y:0", {"x:0": X})
    source: Any = tmp_path / "model.ckpt"
    signatures: Any = SIGNATURES
    if how == "checkpoint":
        meta = tmp_path / "model.ckpt.meta"
        meta_graph = v1.MetaGraphDef.FromString(meta.read_bytes())
        contradict_shapes(meta_graph.graph_def)
        meta.write_bytes(meta_graph.SerializeToString())
    elif how == "frozen":
        source = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
        contradict_shapes(source)
        before = source.SerializeToString(deterministic=True)
    else:
        source = tmp_path / "saved"
        with graph.as_default():
            definition = v1.saved_model.predict_signature_def(
                {"x": graph.get_tensor_by_name("x:0")}, {"y": graph.get_tensor_by_name("y:0")}
            )
            builder = v1.saved_model.Builder(str(source))
            builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": definition})
            builder.save()
        model = protos.SavedModel.FromString((source / "saved_model.pb").read_bytes())
        contradict_shapes(model.meta_graphs[0].graph_def)
        (source / "saved_model.pb").write_bytes(model.SerializeToString())
        signatures = {"serving_default": td.with_vocabulary(["one"], "serving_default", output="y")}
    exported = td.export_model(source, tmp_path / "m", signatures=signatures, check=False)
    with td.load_model(exported.path) as model:
        np.testing.assert_allclose(model.predict({"x": X})["y"], expected, rtol=1e-6)
    if how == "frozen":
        assert source.SerializeToString(deterministic=True) == before, "the caller's message is not changed"


def test_a_graph_with_ops_of_a_library_that_is_not_imported(tmp_path):
    trained(tmp_path)
    meta = tmp_path / "model.ckpt.meta"
    meta_graph = v1.MetaGraphDef.FromString(meta.read_bytes())
    meta_graph.graph_def.node.add(name="strange", op="OpOfAnotherLibrary")
    meta.write_bytes(meta_graph.SerializeToString())
    with pytest.raises(ModelError, match="OpOfAnotherLibrary") as caught:
        td.export_model(tmp_path / "model.ckpt", tmp_path / "m", signatures=SIGNATURES)
    assert "--import" in caught.value.hint


def test_what_trains_is_not_offered_as_result():
    graph, session = trained()
    with graph.as_default():
        v1.summary.scalar("loss_summary", graph.get_tensor_by_name("loss:0"))
        v1.train.Saver()
    with pytest.raises(UsageError, match="does not say what to serve") as caught:
        td.export_model(session, "m")
    assert caught.value.hint.endswith("placeholders: x, wanted; last results: loss")


@pytest.mark.parametrize("how", ["directory", "prefix", "meta", "index", "text"])
def test_checkpoints(tmp_path, how):
    (tmp_path / "train").mkdir()
    _, session = trained(tmp_path / "train")
    prefix = tmp_path / "train" / "model.ckpt"
    source: Any = {
        "directory": tmp_path / "train",
        "prefix": prefix,
        "meta": Path(f"{prefix}.meta"),
        "index": Path(f"{prefix}.index"),
        "text": str(prefix),
    }[how]
    exported = td.export_model(source, tmp_path / "m", signatures=SIGNATURES, examples={"serving_default": {"x": X}})
    with td.load_model(exported.path) as model:
        np.testing.assert_allclose(model.predict({"x": X})["y"], session.run("y:0", {"x:0": X}), rtol=1e-6)


def test_the_latest_checkpoint_of_a_directory_that_was_moved(tmp_path):
    (tmp_path / "train").mkdir()
    graph, session = trained()
    with graph.as_default():
        saver = v1.train.Saver()
        kernel = next(v for v in v1.global_variables() if v.op.name == "kernel")
        for step, value in ((1, 1.0), (2, 2.0)):
            kernel.load(np.full((2, 1), value, np.float32), session)
            saver.save(session, str(tmp_path / "train" / "model.ckpt"), global_step=step)
    (tmp_path / "train").rename(tmp_path / "moved")
    exported = td.export_model(tmp_path / "moved", tmp_path / "m", signatures=SIGNATURES)
    with td.load_model(exported.path) as model:
        assert model.predict({"x": [[1.0, 1.0]]})["y"].tolist() == [[4.0]]


@pytest.mark.parametrize("damage", [".meta", ".data-00000-of-00001"])
def test_damaged_checkpoints(tmp_path, damage):
    trained(tmp_path)
    (tmp_path / f"model.ckpt{damage}").write_bytes(b"\x07" * 50)
    with pytest.raises(ModelError) as caught:
        td.export_model(tmp_path / "model.ckpt", tmp_path / "m", signatures=SIGNATURES)
    assert "model.ckpt" in caught.value.message
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("how", ["pb", "pbtxt", "message", "graph"])
def test_frozen_graphs(tmp_path, how):
    graph, session = trained()
    frozen = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
    source: Any = frozen
    if how == "graph":
        source = tf.Graph()
        with source.as_default():
            v1.import_graph_def(frozen, name="")
    elif how != "message":
        v1.train.write_graph(frozen, str(tmp_path), f"frozen.{how}", as_text=how == "pbtxt")
        source = tmp_path / f"frozen.{how}"
    exported = td.export_model(source, tmp_path / "m", signatures=SIGNATURES, examples={"serving_default": {"x": X}})
    with td.load_model(exported.path) as model:
        np.testing.assert_allclose(model.predict({"x": X})["y"], session.run("y:0", {"x:0": X}), rtol=1e-6)


def test_a_graph_that_is_not_frozen(tmp_path):
    graph, _ = trained()
    with pytest.raises(UsageError, match="the variable 'kernel', whose value cannot be read") as caught:
        td.export_model(graph.as_graph_def(), tmp_path / "m", signatures=SIGNATURES)
    assert "freeze" in caught.value.hint


def test_python_functions_in_a_graph_are_refused(tmp_path):
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None], name="x")
        tf.identity(v1.py_func(lambda value: value, [x], tf.float32), name="y")
    with pytest.raises(UsageError, match="PyFunc"):
        td.export_model(v1.Session(graph=graph), tmp_path / "m", signatures=SIGNATURES)
    assert not (tmp_path / "m").exists()


def test_in_a_process_that_behaves_like_tensorflow_1(tmp_path):
    code = """
    import sys, numpy as np, tensorflow.compat.v1 as tf, tfs_deploy as td
    tf.disable_v2_behavior()
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    y = tf.matmul(x, tf.get_variable("kernel", [2, 1], initializer=tf.ones_initializer()), name="y")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        signature = td.Signature(inputs={"x": x}, outputs={"y": y})
        examples = {"serving_default": {"x": [[1, 2]]}}
        exported = td.export_model(session, sys.argv[1], signatures=signature, examples=examples)
        tf.train.Saver().save(session, sys.argv[1] + ".ckpt")
    signature = td.Signature(inputs={"x": "x"}, outputs={"y": "y"})
    td.export_model(sys.argv[1] + ".ckpt", sys.argv[1], signatures=signature)
    with td.load_model(sys.argv[1]) as model:
        print(model.version, model.predict({"x": [[1.0, 2.0]]})["y"].tolist())
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "m")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "2 [[3.0]]\n"
