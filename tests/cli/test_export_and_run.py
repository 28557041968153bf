# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy export`` and ``tfs-deploy run``: arguments, output, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.forked_command import run_command
from tfs_deploy import protos
from tfs_deploy.cli.shared.signature_text import parse_signatures
from tfs_deploy.errors import UsageError
from tfs_deploy.export import Signature
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.manifest import read_manifest


def cli(
    *arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return run_command(*arguments, cwd=cwd, env={**environment, **(env or {})}, preload="tensorflow")


@pytest.mark.parametrize(
    ("text", "name", "signature"),
    [
        ("serving_default", "serving_default", Signature()),
        ("top3 = top_three", "top3", Signature("top_three")),
        ("s(image)", "s", Signature(inputs=("image",))),
        ("s(image) -> probabilities", "s", Signature(inputs=("image",), outputs=("probabilities",))),
        ("s(a, b) -> x, y", "s", Signature(inputs=("a", "b"), outputs=("x", "y"))),
        ("s(x=x:0) -> y=logits:0", "s", Signature(inputs={"x": "x:0"}, outputs={"y": "logits:0"})),
        (
            "s(x: float32[?, 8], n: int32[]) = encode -> y",
            "s",
            Signature("encode", {"x": ("float32", (None, 8)), "n": ("int32", ())}, ("y",)),
        ),
        ("s -> scores as classify", "s", Signature(outputs=("scores",), method="classify")),
        ("a(q)=half16->y", "a", Signature("half16", ("q",), ("y",))),
        ("a->y", "a", Signature(outputs=("y",))),
        ("half-life = f-16", "half-life", Signature("f-16")),
        ("s = f as regress", "s", Signature("f", method="regress")),
        ("tensorflow/serving/predict(x)", "tensorflow/serving/predict", Signature(inputs=("x",))),
    ],
)
def test_signatures_as_text(text, name, signature):
    assert parse_signatures([text]) == {name: signature}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["s("], "cannot be read"),
        (["s()"], "empty list"),
        (["s -> "], "empty list"),
        (["(x) -> y"], "cannot be read"),
        (["s(x y) -> z"], "'x y'"),
        (["s(x: float32[a])"], "'a'"),
        (["s as clasify"], "unknown signature method"),
        (["s", "s"], "given twice"),
    ],
)
def test_texts_that_are_no_signature(texts, message):
    with pytest.raises(UsageError) as caught:
        parse_signatures(texts)
    assert message in caught.value.message
    assert caught.value.hint


def test_no_text_is_no_signature():
    assert parse_signatures([]) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.keras"], "nowhere.keras does not exist"),
        (["model", "--version", "new"], "not a valid --version: new"),
        (["model", "--metadata", "accuracy"], "is not KEY=VALUE"),
        (["model", "--metadata", "@nothing.json"], "nothing.json cannot be read"),
        (["model", "-s", "a("], "cannot be read"),
        (["no_module:thing"], "module 'no_module' not found"),
        (["json:nothing"], "'nothing' not found"),
        (["json:dumps"], "cannot be exported"),
        (["train.py"], "train.py is a Python file, not a model"),
        (["train.py:model"], "train.py is a Python file, not a model"),
        (["train:modell"], "'modell' not found"),
    ],
)
def test_mistakes_are_one_line_with_a_hint(tmp_path, models, arguments, message):
    if arguments[0] == "json:dumps":
        arguments = ["json:decoder"]
    (tmp_path / "model").symlink_to(models / "zoo" / "1")
    (tmp_path / "train.py").write_text("model = 3\n")
    result = cli("export", *arguments, "--to", "out", cwd=tmp_path)
    assert result.returncode == 2
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "hint: " in result.stderr
    if arguments[0].startswith("train"):
        assert "train:model" in result.stderr or "train:OBJECT" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_saved_model_is_copied_and_run(tmp_path, models):
    source = models / "zoo" / "1"
    result = cli("export", source, "--to", tmp_path / "zoo", "--metadata", "accuracy=0.5", "--metadata", "from=zoo")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{tmp_path / 'zoo' / '1'}  (")
    assert "  half16(x: float32 [?]) -> y: float16 [?]" in result.stdout
    assert read_manifest(tmp_path / "zoo" / "1").metadata == {"accuracy": 0.5, "from": "zoo"}
    as_json = cli("export", source, "--to", tmp_path / "zoo", "--json", "--keep", 1)
    document = json.loads(as_json.stdout)
    assert (document["version"], document["pruned"]) == (2, [1])
    assert document["signatures"]["half16"]["outputs"] == {"y": {"dtype": "float16", "shape": [None]}}

    run = cli("run", tmp_path / "zoo", "--input", "x=[1.0, 2.0]", "--json")
    assert json.loads(run.stdout)["outputs"]["y"] == {"dtype": "float32", "shape": [2], "values": [2.5, 3.0]}
    assert json.loads(run.stdout)["version"] == 2
    assert run.stderr == ""


def test_run_reads_and_writes_arrays(tmp_path, models):
    np.save(tmp_path / "m.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    result = cli(
        "run",
        models / "zoo",
        "--version",
        1,
        "--signature",
        "mat",
        "-i",
        f"m=@{tmp_path}/m.npy",
        "-o",
        tmp_path / "o.npz",
    )
    assert result.returncode == 0, result.stderr
    assert "sum  float32 [2]" in result.stdout
    with np.load(tmp_path / "o.npz") as written:
        assert written["sum"].tolist() == [3.0, 12.0]


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["-i", "y=[1]"], "unknown input 'y'", "x"),
        ([], "also needs input 'x'", "x"),
        (["-i", "x"], "is not NAME=VALUE", "--input"),
        (["--signature", "mta", "-i", "x=[1]"], "unknown signature 'mta'", "mat"),
        (["--version", "9", "-i", "x=[1]"], "has no version 9", "1, 2"),
        (["-i", "x=@nothing.npy"], "nothing.npy cannot be read", None),
    ],
)
def test_what_run_cannot_do(models, arguments, message, hint):
    result = cli("run", models / "zoo", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert hint is None or hint in result.stderr
    assert "Traceback" not in result.stderr


TRAIN = """
import keras
import tensorflow as tf

@keras.saving.register_keras_serializable("demo")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

inputs = keras.Input((2,), name="row")
model = keras.Model(inputs, Twice(name="twice")(inputs))

class Module(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def halve(self, x):
        return {"y": x / 2}

def make():
    return Module()

if __name__ == "__main__":
    model.save("model.keras")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a training script and the model that it saved."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("project")
    (folder / "train.py").write_text(TRAIN)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True, capture_output=True, timeout=300)
    np.save(folder / "rows.npy", np.float32([[1, 2]]))
    return folder


@pytest.mark.parametrize(
    ("arguments", "signature", "outputs"),
    [
        (["model.keras", "--import", "train"], "serving_default", {"twice": [[2.0, 4.0]]}),
        (
            ["model.keras", "--import", "train", "-s", "serving_default(row) -> double"],
            "serving_default",
            {"double": [[2.0, 4.0]]},
        ),
        (["train:model"], "serving_default", {"twice": [[2.0, 4.0]]}),
    ],
)
def test_keras_models(project, tmp_path, arguments, signature, outputs):
    result = cli("export", *arguments, "--to", tmp_path / "m", "--example", "row=@rows.npy", cwd=project)
    assert result.returncode == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if not line.startswith("exporting ")] == []
    (golden,) = read_goldens(tmp_path / "m" / "1")
    assert golden.signature == signature
    assert {name: array.tolist() for name, array in golden.outputs.items()} == outputs


def test_a_function_that_makes_the_model(project, tmp_path):
    arguments: list[Any] = ["train:make", "--to", tmp_path / "m", "-s", "half = halve", "--example", "half/x=[4.0]"]
    result = cli("export", *arguments, "--version", 12, "--quiet", cwd=project)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    (golden,) = read_goldens(tmp_path / "m" / "12")
    assert golden.outputs["y"].tolist() == [2.0]


def test_a_class_that_is_not_imported(project, tmp_path):
    result = cli("export", "model.keras", "--to", tmp_path / "m", cwd=project)
    assert result.returncode == 2
    assert "model.keras cannot be loaded" in result.stderr
    assert "register" in result.stderr
    assert not (tmp_path / "m").exists()


def test_a_failed_check_is_a_verdict(project, tmp_path):
    (project / "dice.py").write_text(
        "import tensorflow as tf\n"
        "class Dice(tf.Module):\n"
        "    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name='x')])\n"
        "    def throw(self, x):\n"
        "        return {'y': x + tf.random.uniform([1])}\n"
        "dice = Dice()\n"
    )
    result = cli("export", "dice:dice", "--to", tmp_path / "m", "--example", "x=[1.0]", cwd=project)
    assert result.returncode == 1, result.stderr
    assert "the written model is not the original" in result.stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("body", "source", "message"),
    [
        (
            "def make():\n    raise ValueError('no data\\nthere')\n",
            "bad:make",
            "bad:make() raised ValueError: no data there",
        ),
        ("1 / 0\n", "bad:make", "importing bad raised ZeroDivisionError: division by zero (bad.py, line 1)"),
        ("import nosuch_library\n", "bad:make", "importing bad raised ModuleNotFoundError: No module named"),
    ],
)
def test_code_of_the_user_that_raises(tmp_path, body, source, message):
    (tmp_path / "bad.py").write_text(body)
    result = cli("export", source, "--to", tmp_path / "m", cwd=tmp_path)
    assert result.returncode == 2
    assert f"error: {message}" in result.stderr
    assert "python -c 'import bad" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_copy_that_cannot_be_checked_without_tensorflow(models, tmp_path):
    """The error names what is missing instead of calling the copy wrong."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'tensorflow' else find(name, *more)\n"
    )
    result = cli("export", models / "zoo/1", "--to", tmp_path / "m", env={"PYTHONPATH": str(tmp_path)})
    assert result.returncode == 3, result.stderr
    assert "the written model cannot be checked: tensorflow is not installed" in result.stderr
    assert "--no-check" in result.stderr
    assert "not the original" not in result.stderr


def test_a_graph_without_tags_is_run_and_exported_with_the_tag_that_servers_know(models, tmp_path):
    source = tmp_path / "hub"
    shutil.copytree(models / "zoo/1", source)
    model = protos.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    del model.meta_graphs[0].meta_info_def.tags[:]
    (source / "saved_model.pb").write_bytes(model.SerializeToString())
    refused = cli("export", source, "--to", tmp_path / "m")
    assert refused.returncode == 2
    assert "--tags ''" in refused.stderr
    result = cli("export", source, "--to", tmp_path / "m", "--tags", "")
    assert result.returncode == 0, result.stderr
    assert inspect_model(tmp_path / "m").tag_sets == [("serve",)]
    for arguments in ([source, "--tags", ""], [tmp_path / "m"]):
        run = cli("run", *arguments, "-s", "mat", "-i", "m=[[1,2,3]]", "--json")
        assert json.loads(run.stdout)["outputs"]["sum"]["values"] == [6.0], run.stderr
