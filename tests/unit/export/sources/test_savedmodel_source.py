# SPDX-License-Identifier: Apache-2.0
"""SavedModels as sources: copied, with other signatures, traced again; damaged ones."""

from __future__ import annotations

import contextlib
import logging
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy import export as ex
from tfs_deploy import protos
from tfs_deploy.errors import ModelError, TfsDeployError, UsageError, VerdictError
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, REGRESS_METHOD
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.manifest import verify_manifest

tf = pytest.importorskip("tensorflow")
v1 = tf.compat.v1
pytestmark = pytest.mark.tensorflow


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "tfs_deploy.json"
    }


def predict(path: Path, inputs: dict[str, Any], signature: str | None = None) -> dict[str, Any]:
    with td.load_model(path) as model:
        return model.predict(inputs, signature)


@pytest.mark.parametrize(
    "name",
    [
        "saved_model_half_plus_two_cpu/00000123",
        "saved_model_half_plus_two_2_versions",
        "saved_model_half_plus_two_tf2_cpu/00000123",
        "saved_model_half_plus_three/00000123",
        "zoo/1",
    ],
)
def test_a_copy_is_the_same_bytes(models, tmp_path, name):
    source = models / name
    exported = td.export_model(source, tmp_path / "m")
    chosen = source if (source / "saved_model.pb").exists() else source / "00000124"
    assert files(exported.path) == files(chosen)
    assert verify_manifest(exported.path) == []
    assert exported.signatures == td.inspect_model(chosen).signatures


def test_a_copy_keeps_its_goldens_and_warmup_and_replays_them(tmp_path):
    module = tf.Module()
    signature = td.Signature(lambda x: {"y": x * 2}, inputs={"x": ("float32", (None,))})
    first = td.export_model(
        module, tmp_path / "a", signatures=signature, examples={"serving_default": {"x": [1.0]}}, metadata={"run": 7}
    )
    second = td.export_model(first.path, tmp_path / "b", metadata={"copied": True})
    assert files(second.path) == files(first.path)
    assert second.manifest.metadata == {"copied": True}
    renewed = td.export_model(first.path, tmp_path / "b", examples={"serving_default": {"x": [3.0]}})
    (golden,) = read_goldens(renewed.path)
    assert golden.outputs["y"].tolist() == [6.0]


def test_links_inside_are_copied_as_what_they_point_to_and_no_others(models, tmp_path):
    shutil.copytree(models / "saved_model_half_plus_two_cpu/00000123", tmp_path / "there")
    (tmp_path / "there/assets/kept").write_text("kept")
    (tmp_path / "there/assets/linked").symlink_to("kept")
    exported = td.export_model(tmp_path / "there", tmp_path / "m")
    (tmp_path / "there/assets/stolen").symlink_to("/etc/passwd")
    renamed = {"serving_default": td.Signature(outputs={"z": "y"})}
    for signatures in (None, renamed, td.Signature("serving_default")):
        with pytest.raises(UsageError, match="stolen is a link that leads out of"):
            td.export_model(tmp_path / "there", tmp_path / "other", signatures=signatures)
    assert not (tmp_path / "other").exists()
    assert (exported.path / "assets/linked").read_text() == "kept"
    assert not any(path.is_symlink() for path in exported.path.rglob("*"))
    assert predict(exported.path, {"x": [[2.0]]})["y"].tolist() == [[3.0]]


def test_a_copy_needs_no_python_tensorflow(models, tmp_path):
    code = (
        "import sys, tfs_deploy as td\n"
        f"td.export_model({str(models / 'zoo/1')!r}, {str(tmp_path / 'm')!r})\n"
        "assert 'tensorflow' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


def test_made_up_output_names_of_a_copy_are_warned_of(tmp_path, caplog):
    tf.saved_model.save(
        tf.Module(),
        str(tmp_path / "saved"),
        signatures=tf.function(lambda x: x, input_signature=[tf.TensorSpec([None])]).get_concrete_function(),
    )
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        td.export_model(tmp_path / "saved", tmp_path / "m")
    assert "output_0" in caplog.text
    assert "outputs=" in caplog.text


def test_a_saved_model_without_signatures_is_refused(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "saved"))
    with pytest.raises(UsageError, match="no signature"):
        td.export_model(tmp_path / "saved", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_other_names_for_a_tensorflow_1_model(models, tmp_path):
    signatures = {
        "serving_default": td.Signature(inputs={"value": "x"}, outputs={"result": "y"}),
        "old": td.Signature("serving_default"),
        "classes": td.Signature("classify_x_to_y"),
    }
    source = models / "saved_model_half_plus_two_cpu/00000123"
    examples = {"serving_default": {"value": [[2.0]]}, "old": {"x": [[4.0]]}}
    exported = td.export_model(source, tmp_path / "m", signatures=signatures, examples=examples)
    assert predict(exported.path, {"value": [[2.0]]})["result"].tolist() == [[3.0]]
    assert exported.signatures["classes"].method == CLASSIFY_METHOD
    before, after = files(source), files(exported.path)
    assert after["variables/variables.data-00000-of-00001"] == before["variables/variables.data-00000-of-00001"]


def test_the_method_of_a_tensorflow_2_signature(models, tmp_path):
    signatures = {
        "serving_default": "half",
        "regress": td.Signature("regress", method="regress"),
        "classify": td.Signature("classify", method="classify"),
    }
    exported = td.export_model(
        models / "zoo/1", tmp_path / "m", signatures=signatures | {"serving_default": "serving_default"}
    )
    assert exported.signatures["regress"].method == REGRESS_METHOD
    assert exported.signatures["classify"].method == CLASSIFY_METHOD
    loaded = tf.saved_model.load(str(exported.path))
    assert sorted(loaded.signatures) == ["classify", "regress", "serving_default"]


def test_wrappers_and_functions_around_a_saved_model(models, tmp_path):
    source = models / "zoo/1"
    loaded = tf.saved_model.load(str(source))
    signatures = {
        "serving_default": ex.from_examples(None, "serving_default"),
        "twice": td.Signature(
            lambda x: {"y": 2 * loaded.signatures["serving_default"](x=x)["y"]}, {"x": ("float32", (None,))}
        ),
    }
    example = tf.train.Example(
        features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[2.0]))})
    ).SerializeToString()
    exported = td.export_model(
        source, tmp_path / "m", signatures=signatures, examples={"serving_default": {"examples": [example]}}
    )
    assert predict(exported.path, {"x": [2.0]}, "twice")["y"].tolist() == [6.0]


def test_files_beside_the_graph_come_along_when_it_is_traced_again(models, tmp_path):
    shutil.copytree(models / "zoo/1", tmp_path / "saved")
    (tmp_path / "saved" / "assets.extra").mkdir()
    (tmp_path / "saved" / "assets.extra" / "card.md").write_text("about")
    (tmp_path / "saved" / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"of other signatures")
    for name in layout.ATTESTATIONS:
        (tmp_path / "saved" / name).write_text("about other files")
    exported = td.export_model(tmp_path / "saved", tmp_path / "m", signatures={"serving_default": "serving_default"})
    extra = exported.path / "assets.extra"
    assert sorted(path.name for path in extra.iterdir()) == ["card.md", "tfs_deploy.json"]


def test_tensors_of_a_tensorflow_1_graph_that_no_signature_had(tmp_path):
    source = tag_sets(tmp_path / "saved")
    signatures = {
        "serving_default": td.Signature(
            inputs={"v": "x:0"}, outputs={"factor": "factor/Read/ReadVariableOp:0", "y": "y:0"}
        ),
        "mixed": td.Signature("serving_default", outputs={"read": "factor/Read/ReadVariableOp:0", "y": "y"}),
    }
    examples = {"serving_default": {"v": [2.0]}, "mixed": {"x": [2.0]}}
    exported = td.export_model(source, tmp_path / "m", tags=["serve", "gpu"], signatures=signatures, examples=examples)
    assert exported.signatures["serving_default"].outputs["factor"].shape == ()
    assert predict_tagged(exported.path, {"v": [2.0]}, ("serve", "gpu")) == {"factor": 3.0, "y": [6.0]}
    with pytest.raises(UsageError, match="no tensor 'factor/Read/ReadVariable:0'") as caught:
        td.export_model(
            source,
            tmp_path / "m",
            tags=["serve", "gpu"],
            signatures=td.Signature(inputs={"v": "x:0"}, outputs={"y": "factor/Read/ReadVariable:0"}),
        )
    assert "factor/Read/ReadVariableOp" in caught.value.hint


def predict_tagged(path: Path, inputs: dict[str, Any], tags: tuple[str, ...]) -> dict[str, Any]:
    with td.load_model(path, tags=tags) as model:
        return {name: array.tolist() for name, array in model.predict(inputs).items()}


def model_with_tables(folder: Path) -> Path:
    """Save a TensorFlow 1 model with a table from a file, one from the graph, and a variable."""
    (folder / "words.txt").write_text("cat\ndog\nowl")
    lookup = tf.lookup
    with tf.Graph().as_default(), v1.Session() as session:
        word = v1.placeholder(tf.string, [None], name="word")
        file = lookup.TextFileInitializer(
            str(folder / "words.txt"),
            *(tf.string, lookup.TextFileIndex.WHOLE_LINE, tf.int64, lookup.TextFileIndex.LINE_NUMBER),
        )
        number = lookup.StaticHashTable(file, -1).lookup(word)
        names = lookup.KeyValueTensorInitializer(tf.range(3, dtype=tf.int64), ["meow", "woof", "hoot"])
        says = lookup.StaticHashTable(names, "?").lookup(number)
        weights = v1.get_variable("weights", initializer=[[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]])
        scores = tf.gather(weights, tf.maximum(number, 0))
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        signature = v1.saved_model.predict_signature_def({"word": word}, {"says": says, "scores": scores})
        builder = v1.saved_model.Builder(str(folder / "saved"))
        builder.add_meta_graph_and_variables(
            *(session, ["serve"], {"serving_default": signature}),
            main_op=v1.tables_initializer(),
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
        )
        builder.save()
    return folder / "saved"


def test_wrappers_around_a_tensorflow_1_model_with_tables(tmp_path):
    source = model_with_tables(tmp_path)
    labels = ["a cat", "a dog", "an owl"]
    signatures = {
        "serving_default": ex.with_vocabulary(labels, "serving_default", output="scores"),
        "examples": ex.from_examples(None, "serving_default"),
        "classify": ex.classify_examples(labels, "serving_default", scores="scores"),
    }
    words = ["owl", "cat", "cow"]
    rows = [
        tf.train.Example(
            features=tf.train.Features(
                feature={"word": tf.train.Feature(bytes_list=tf.train.BytesList(value=[word.encode()]))}
            )
        ).SerializeToString()
        for word in words
    ]
    examples = {"serving_default": {"word": words}, "examples": {"examples": rows}, "classify": {"inputs": rows}}
    exported = td.export_model(source, tmp_path / "m", signatures=signatures, examples=examples)
    shutil.rmtree(source)
    (tmp_path / "words.txt").unlink()
    assert [path.name for path in (exported.path / "assets").iterdir()] == ["words.txt"]
    moved = shutil.move(exported.path, tmp_path / "1")
    answer = predict(moved, {"word": words})
    assert answer["says"].tolist() == [b"hoot", b"meow", b"?"]
    assert answer["label"].tolist() == [b"an owl", b"a cat", b"a cat"]
    assert predict(moved, {"examples": rows}, "examples")["says"].tolist() == [b"hoot", b"meow", b"?"]
    classes = predict(moved, {"inputs": rows}, "classify")
    assert classes["classes"].tolist()[0] == [label.encode() for label in labels]
    np.testing.assert_allclose(classes["scores"][0], [0.0, 0.3, 0.7])


def test_tables_that_nobody_could_fill_again_are_refused(tmp_path):
    source = model_with_tables(tmp_path)
    saved = protos.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    for node in saved.meta_graphs[0].graph_def.node:
        if node.op == "HashTableV2":
            node.attr["shared_name"].s = b""
            node.attr["use_node_name_sharing"].b = True
    (source / "saved_model.pb").write_bytes(saved.SerializeToString())
    renamed = td.Signature("serving_default", inputs={"value": "word"})
    assert td.export_model(source, tmp_path / "m", signatures={"serving_default": renamed}).version == 1
    with pytest.raises(UsageError, match="lookup table without a shared name") as caught:
        td.export_model(
            source, tmp_path / "m", signatures={"serving_default": ex.from_examples(None, "serving_default")}
        )
    assert "renamed" in caught.value.hint


def old_variables(folder: Path, *, counts: bool = False) -> Path:
    """Save variables that are tensors: read, used as they are, in parts, with a slot; training ops beside them."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 4], name="x")
        whole = v1.get_variable("whole", initializer=[[1.0], [2.0], [3.0], [4.0]], use_resource=False)
        parts = v1.get_variable(
            "parts",
            [4, 1],
            use_resource=False,
            partitioner=v1.fixed_size_partitioner(2),
            initializer=v1.ones_initializer,
        )
        new = v1.get_variable("new", initializer=[0.5], use_resource=True)
        calls = v1.get_variable("calls", initializer=0.0, use_resource=False)
        y = tf.matmul(x, whole) + tf.matmul(x, tf.concat(list(parts), 0)) + new + tf.reduce_sum(whole._ref())
        if counts:
            y += v1.assign_add(calls, 1.0)
        v1.train.AdamOptimizer().minimize(tf.reduce_mean(y))
        session.run(v1.global_variables_initializer())
        session.run(whole.assign([[1.0], [1.0], [1.0], [2.0]]))
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    return folder


def test_old_variables_keep_their_values_when_they_are_traced_again(tmp_path):
    source = old_variables(tmp_path / "saved")
    rows = [[0.0, 0, 0, 1], [1.0, 1, 0, 0]]
    with td.load_model(source) as model:
        expected = model.predict({"x": rows})["y"]
    assert expected.tolist() == [[8.5], [9.5]]
    signatures = {
        "serving_default": ex.with_vocabulary(["only"], "serving_default", output="y"),
        "plain": "serving_default",
    }
    exported = td.export_model(source, tmp_path / "m", signatures=signatures, examples={"plain": {"x": rows}})
    shutil.rmtree(source)
    assert predict(exported.path, {"x": rows}, "plain")["y"].tolist() == expected.tolist()
    assert predict(exported.path, {"x": rows})["y"].tolist() == expected.tolist()


def test_a_wrapper_around_what_was_exported_from_a_session(tmp_path):
    """The way that the exporter advises for TensorFlow 1 graphs, whose signatures are tensors."""
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        y = tf.matmul(x, v1.get_variable("w", initializer=[[1.0, 0.0], [0.0, 3.0]], use_resource=False))
        session.run(v1.global_variables_initializer())
        labelled = ex.with_vocabulary(["left", "right"], td.Signature(inputs={"x": x}, outputs={"y": y}), output="y")
        with pytest.raises(UsageError, match="has tensors, not functions") as caught:
            td.export_model(session, tmp_path / "m", signatures={"serving_default": labelled})
        first = td.export_model(session, tmp_path / "m", signatures=td.Signature(inputs={"x": x}, outputs={"y": y}))
    assert "then export that SavedModel with the function or wrapper" in caught.value.hint
    signatures = {"serving_default": ex.with_vocabulary(["left", "right"], "serving_default", output="y")}
    second = td.export_model(first.path, tmp_path / "m", signatures=signatures)
    answer = predict(second.path, {"x": [[1.0, 1.0], [5.0, 1.0]]})
    assert answer["y"].tolist() == [[1.0, 3.0], [5.0, 3.0]]
    assert answer["label"].tolist() == [b"right", b"left"]


def test_old_variables_that_calls_change_are_refused(tmp_path):
    source = old_variables(tmp_path / "saved", counts=True)
    signature = ex.with_vocabulary(["only"], "serving_default", output="y")
    with pytest.raises(UsageError, match="changes its variable 'calls' by AssignAdd") as caught:
        td.export_model(source, tmp_path / "m", signatures={"serving_default": signature})
    assert "renamed" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_a_function_around_a_model_of_the_servers_own_tests(models, tmp_path):
    source = models / "saved_model_half_plus_two_cpu/00000123"
    signature = ex.with_vocabulary(["only"], "serving_default", output="y")
    exported = td.export_model(
        source, tmp_path / "m", signatures={"serving_default": signature}, examples={"serving_default": {"x": [[2.0]]}}
    )
    assert predict(exported.path, {"x": [[2.0]]})["y"].tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("signature", "message", "hint"),
    [
        (td.Signature("servin_default"), "no signature 'servin_default'", "serving_default"),
        (td.Signature(inputs={"value": "z"}), "no input 'z'", "x"),
        (td.Signature(outputs={"result": "z"}), "no output 'z'", "y"),
        (td.Signature(outputs=("result", "y")), "no output 'result'", "new"),
        (td.Signature("regress_x_to_y", method="classify"), "classify signature answers with", None),
    ],
)
def test_signatures_that_do_not_fit(models, tmp_path, signature, message, hint):
    source = models / "saved_model_half_plus_two_cpu/00000123"
    with pytest.raises(UsageError) as caught:
        td.export_model(source, tmp_path / "m", signatures={"serving_default": signature})
    assert message in caught.value.message
    assert hint is None or hint in caught.value.hint
    assert not (tmp_path / "m").exists()


def tag_sets(folder: Path) -> Path:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.multiply(x, v1.get_variable("factor", initializer=3.0), name="y")
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["train"], {"serving_default": signature})
        builder.add_meta_graph(["serve", "gpu"], {"serving_default": signature})
        builder.save()
    return folder


def test_several_meta_graphs(tmp_path):
    source = tag_sets(tmp_path / "saved")
    with pytest.raises(UsageError, match="no meta graph tagged serve") as caught:
        td.export_model(source, tmp_path / "m")
    assert "gpu,serve" in caught.value.hint
    exported = td.export_model(
        source, tmp_path / "m", tags=["serve", "gpu"], examples={"serving_default": {"x": [2.0]}}
    )
    assert td.inspect_model(exported.path).tag_sets == [("train",), ("gpu", "serve")]
    renamed = td.export_model(
        source, tmp_path / "m", tags=["serve", "gpu"], signatures={"serving_default": td.Signature(inputs={"v": "x"})}
    )
    train, serve = td.inspect_model(renamed.path).meta_graphs
    assert list(train.signatures["serving_default"].inputs) == ["x"]
    assert list(serve.signatures["serving_default"].inputs) == ["v"]


def test_tags_are_only_for_tensorflow_1(tmp_path):
    with pytest.raises(UsageError, match="always written with the tag 'serve'"):
        td.export_model(tf.Module(), tmp_path / "m", tags=["gpu"])


@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "no index", "no data", "flipped"])
def test_damaged_saved_models(models, tmp_path, damage):
    source = tmp_path / "saved"
    shutil.copytree(models / "saved_model_half_plus_two_cpu/00000123", source)
    file = {"no index": "variables/variables.index", "no data": "variables/variables.data-00000-of-00001"}.get(
        damage, "variables/variables.index" if damage == "flipped" else "saved_model.pb"
    )
    data = bytearray((source / file).read_bytes())
    if damage == "truncated":
        (source / file).write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        (source / file).write_bytes(b"")
    elif damage == "flipped":
        for position in range(0, len(data), 7):
            data[position] ^= 0xFF
        (source / file).write_bytes(data)
    else:
        (source / file).unlink()
    with pytest.raises(TfsDeployError) as caught:
        td.export_model(source, tmp_path / "m")
    assert caught.value.hint or file.rpartition("/")[2] in caught.value.message
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("examples", [None, {"serving_default": {"x": [[0.0] * 1500]}}])
def test_a_flipped_bit_in_large_variables(tmp_path, examples):
    """Too large to be read at each inspection; loading finds it."""
    weight = tf.Variable(tf.ones([1500, 1000]))
    signature = td.Signature(lambda x: {"y": x @ weight}, inputs={"x": ("float32", (None, 1500))})
    source = td.export_model(tf.Module(), tmp_path / "a", signatures=signature, check=False).path
    (source / "assets.extra" / "tfs_deploy.json").unlink()
    data = source / "variables" / "variables.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[3_000_000] ^= 4
    data.write_bytes(content)
    with pytest.raises((ModelError, VerdictError), match="Checksum does not match") as caught:
        td.export_model(source, tmp_path / "b", examples=examples)
    assert "variables/variables shard 0" in caught.value.message
    assert "staging" not in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "b").exists()


def test_a_copy_of_what_was_changed_after_its_export_is_refused(tmp_path):
    signature = td.Signature(lambda x: {"y": x}, inputs={"x": ("float32", (None,))})
    exported = td.export_model(tf.Module(), tmp_path / "a", signatures=signature)
    with (exported.path / "saved_model.pb").open("ab") as file:
        file.write(b"\x00")
    with pytest.raises(ModelError, match=r"saved_model\.pb") as caught:
        td.export_model(exported.path, tmp_path / "b")
    assert "inspect --check" in caught.value.hint


def test_fuzzed_saved_models_are_errors_not_crashes(models, tmp_path):
    """The exporter either refuses a damaged file or publishes what a fresh process could load."""
    original = (models / "saved_model_half_plus_two_cpu/00000123/saved_model.pb").read_bytes()
    source = tmp_path / "saved"
    shutil.copytree(models / "saved_model_half_plus_two_cpu/00000123", source)
    dice = random.Random(5)
    for _ in range(6):
        data = bytearray(original)
        for _ in range(dice.choice([1, 8, 200])):
            data[dice.randrange(len(data))] = dice.randrange(256)
        (source / "saved_model.pb").write_bytes(data)
        with contextlib.suppress(TfsDeployError):
            td.export_model(source, tmp_path / "m", check_timeout=60)
    left = list((tmp_path / "m").iterdir()) if (tmp_path / "m").exists() else []
    assert all(path.name.isdecimal() for path in left)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nothing", "does not exist"),
        (lambda folder: folder, "holds no SavedModel, no version directory and no checkpoint"),
        (lambda folder: write(folder / "m.tflite"), "TensorFlow Lite"),
        (lambda folder: write(folder / "m.onnx"), "ONNX"),
        (lambda folder: write(folder / "saved_model.pb"), "one file of a SavedModel"),
        (lambda folder: write(folder / "m.weights.h5"), "holds weights"),
        (lambda folder: write(folder / "m.keras"), "is damaged: it is not a zip archive"),
        (lambda folder: write(folder / "m.h5"), "is damaged: it is not an HDF5 file"),
        (lambda folder: write(folder / "frozen.pb"), "is not a valid GraphDef"),
        (lambda folder: write(folder / "graph.pbtxt"), "is not a valid GraphDef"),
        (lambda folder: write(folder / "c.index"), "the checkpoint has values, but no graph"),
        (lambda folder: write(folder / "c.meta"), "c.index does not exist"),
    ],
)
def test_paths_that_are_no_source(tmp_path, make, message):
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    with pytest.raises(UsageError) as caught:
        td.export_model(path, tmp_path / "m")
    assert message in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "m").exists()


def write(path: Path) -> Path:
    path.write_bytes(np.arange(100, dtype=np.uint8).tobytes())
    return path


def test_a_graph_in_text_is_copied_renamed_and_run(models, tmp_path):
    source = tmp_path / "text"
    shutil.copytree(models / "saved_model_half_plus_two_cpu/00000123", source)
    model = protos.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    (source / "saved_model.pbtxt").write_text(protos.to_text(model), encoding="utf-8")
    (source / "saved_model.pb").unlink()
    examples = {"serving_default": {"x": [[2.0]]}}
    copied = td.export_model(source, tmp_path / "m", examples=examples)
    assert (copied.path / "saved_model.pbtxt").is_file()
    assert predict(copied.path, {"x": [[2.0]]})["y"].tolist() == [[3.0]]
    renamed = {"serving_default": td.Signature(outputs={"answer": "y"})}
    exported = td.export_model(source, tmp_path / "m", signatures=renamed, check=False)
    assert [file.name for file in exported.path.glob("saved_model.*")] == ["saved_model.pb"]
    assert predict(exported.path, {"x": [[2.0]]})["answer"].tolist() == [[3.0]]
