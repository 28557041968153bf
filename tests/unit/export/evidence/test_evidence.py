# SPDX-License-Identifier: Apache-2.0
"""What is checked before a version is published, what is recorded with it, and that failures leave nothing behind."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.codec import decode_predict_request
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.savedmodel.goldens import Golden, read_goldens
from tfs_deploy.savedmodel.manifest import read_manifest, verify_manifest
from tfs_deploy.savedmodel.warmup import read_warmup

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow

DOUBLE = td.Signature(lambda x: {"y": 2 * x, "sign": tf.sign(x)}, inputs={"x": ("float32", (None, 2))})
ROWS = [[1.0, -2.0], [3.0, 4.0]]


def export(tmp_path: Path, signature: td.Signature = DOUBLE, **options: Any) -> td.ExportedVersion:
    return td.export_model(tf.Module(), tmp_path / "m", signatures=signature, **options)


def test_examples_become_goldens_and_warmup(tmp_path):
    exported = export(tmp_path, examples={"serving_default": [{"x": ROWS}, {"x": ROWS[:1]}]})
    goldens = read_goldens(exported.path)
    assert [golden.inputs["x"].shape for golden in goldens] == [(2, 2), (1, 2)]
    assert goldens[0].outputs["y"].tolist() == [[2.0, -4.0], [6.0, 8.0]]
    calls = [decode_predict_request(log.predict_log.request.SerializeToString()) for log in read_warmup(exported.path)]
    assert [(call.model, call.signature, call.inputs["x"].shape) for call in calls] == [
        ("m", "serving_default", (2, 2)),
        ("m", "serving_default", (1, 2)),
    ]


def test_a_single_string_is_recorded_with_its_last_nul_bytes(tmp_path):
    signature = td.Signature(lambda x: {"y": tf.io.serialize_tensor(x)}, inputs={"x": ("float32", (2,))})
    exported = export(tmp_path, signature, examples={"serving_default": {"x": [1.0, 0.0]}}, check=False)
    (golden,) = read_goldens(exported.path)
    assert golden.outputs["y"].item() == tf.io.serialize_tensor([1.0, 0.0]).numpy()
    assert golden.outputs["y"].item().endswith(b"\0\0\0\0")


def test_warmup_can_be_left_out(tmp_path):
    exported = export(tmp_path, examples={"serving_default": {"x": ROWS}}, warmup=False)
    assert list(read_warmup(exported.path)) == []
    assert len(read_goldens(exported.path)) == 1


def test_a_thousand_warmup_records_at_most(tmp_path, caplog):
    signature = td.Signature(lambda x: {"y": x}, inputs={"x": ("float32", (None,))})
    with caplog.at_level(logging.WARNING, "tfs_deploy.export"):
        exported = export(tmp_path, signature, examples={"serving_default": [{"x": [1.0]}] * 1001}, check=False)
    assert sum(1 for _ in read_warmup(exported.path)) == 1000
    assert "first 1000 of 1001" in caplog.text


def test_tolerances_by_output_are_recorded(tmp_path):
    exported = export(tmp_path, examples={"serving_default": {"x": ROWS}}, rtol={"y": 0.5}, atol=0.25)
    found = {name: (golden.rtol, golden.atol) for golden in read_goldens(exported.path) for name in golden.outputs}
    assert found == {"y": (0.5, 0.25), "sign": (1e-4, 0.25)}


def test_an_answer_from_elsewhere(tmp_path):
    wrong = Golden("serving_default", {"x": np.float32(ROWS)}, {"y": np.float32(ROWS)})
    with pytest.raises(VerdictError, match="output 'y' at"):
        export(tmp_path, examples={"serving_default": wrong})
    exported = export(tmp_path, examples={"serving_default": wrong}, check=False)
    assert read_goldens(exported.path)[0].outputs["y"].tolist() == ROWS


def test_a_model_that_answers_otherwise_once_it_is_written(tmp_path):
    signature = td.Signature(lambda x: {"y": x + tf.random.normal([1, 2])}, inputs={"x": ("float32", (None, 2))})
    with pytest.raises(VerdictError, match="not the original: signature 'serving_default', example 0: output 'y'"):
        export(tmp_path, signature, examples={"serving_default": {"x": ROWS}})
    assert not (tmp_path / "m").exists()


def test_what_tracing_froze_is_found(tmp_path):
    """Python state that tracing bakes in: the original answers differently from call to call."""
    calls = []

    def counting(x: Any) -> Any:
        calls.append(1)
        return {"y": x * float(len(calls))}

    signature = td.Signature(counting, inputs={"x": ("float32", (None, 2))})
    with pytest.raises(VerdictError, match="output 'y'"):
        export(tmp_path, signature, examples={"serving_default": [{"x": ROWS}, {"x": ROWS}]})


@pytest.mark.parametrize(
    ("examples", "message", "hint"),
    [
        ([{"x": ROWS}], "examples must be a dict, not list", "serving_default"),
        ({"serving_defualt": {"x": ROWS}}, "unknown signature 'serving_defualt'", "serving_default"),
        ({"serving_default": ROWS}, "not list", "'x'"),
        ({"serving_default": {"z": ROWS}}, "unknown input 'z'", "x"),
        ({"serving_default": {}}, "input 'x' is missing", None),
        ({"serving_default": {"x": ROWS[0]}}, "has shape [2]", "array[None]"),
        ({"serving_default": {"x": [[1.0]]}}, "has shape [1, 1]", None),
        ({"serving_default": {"x": [["a", "b"]]}}, "the signature takes float32", "astype"),
        ({"serving_default": {"x": [[1j, 2]]}}, "is complex128", "astype"),
        ({"serving_default": {"x": [[1.0, 2.0], [3.0]]}}, "unequal lengths", None),
    ],
)
def test_examples_that_do_not_fit(tmp_path, examples, message, hint):
    with pytest.raises(UsageError) as caught:
        export(tmp_path, examples=examples)
    assert message in caught.value.message
    assert hint is None or hint in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_an_example_on_which_the_model_fails(tmp_path):
    def picky(x: Any) -> Any:
        with tf.control_dependencies([tf.debugging.assert_positive(x)]):
            return {"y": tf.identity(x)}

    signature = td.Signature(picky, inputs={"x": ("float32", (None, 2))})
    with pytest.raises(UsageError, match="the model fails on an example"):
        export(tmp_path, signature, examples={"serving_default": {"x": ROWS}})


def test_a_check_that_takes_too_long(tmp_path):
    with pytest.raises(VerdictError, match=r"within 0\.001 s") as caught:
        export(tmp_path, check_timeout=0.001)
    assert "check_timeout" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_a_fresh_process_that_dies_is_an_error(tmp_path, monkeypatch):
    crash = tmp_path / "python"
    crash.write_text("#!/bin/sh\necho 'went up in smoke' >&2\nexit 9\n")
    crash.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(crash))
    with pytest.raises(VerdictError, match="exited with 9: went up in smoke"):
        export(tmp_path)
    assert not (tmp_path / "m").exists()


def test_the_manifest_says_where_a_version_comes_from(tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    repository.mkdir()
    for arguments in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    monkeypatch.chdir(repository)
    metadata = {"accuracy": np.float32(0.5), "classes": np.arange(3), "data": {"set": "a"}}
    exported = export(tmp_path, metadata=metadata)
    manifest = read_manifest(exported.path)
    assert manifest == exported.manifest
    assert manifest.metadata == {"accuracy": 0.5, "classes": [0, 1, 2], "data": {"set": "a"}}
    assert manifest.tensorflow_version == tf.__version__
    assert manifest.keras_version == keras.__version__
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert manifest.git_commit == head
    assert verify_manifest(exported.path) == []
    monkeypatch.chdir(tmp_path)
    assert export(tmp_path).manifest.git_commit is None


@pytest.mark.parametrize("metadata", [{"a": float("nan")}, {"a": object()}, [1], {("a", "b"): 1}])
def test_metadata_that_json_cannot_say(tmp_path, metadata):
    with pytest.raises(UsageError, match="metadata cannot be written"):
        export(tmp_path, metadata=metadata)


def test_large_files_are_hashed_while_they_are_written(tmp_path):
    weight = tf.Variable(tf.random.uniform([1500, 1500], seed=1))
    signature = td.Signature(lambda x: {"y": x @ weight}, inputs={"x": ("float32", (None, 1500))})
    exported = export(tmp_path, signature, check=False)
    assert verify_manifest(exported.path) == []
    assert exported.manifest.total_bytes > 9_000_000


def test_concurrent_exports_of_several_models(tmp_path):
    """Four threads with TensorFlow, one base path."""

    def one(factor: float) -> None:
        signature = td.Signature(lambda x: {"y": x * factor}, inputs={"x": ("float32", (None,))})
        export(tmp_path, signature, examples={"serving_default": {"x": [1.0]}}, metadata={"factor": factor})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, (1.0, 2.0, 3.0, 4.0)))
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["1", "2", "3", "4"]
    for version in range(1, 5):
        folder = tmp_path / "m" / str(version)
        assert verify_manifest(folder) == []
        assert read_goldens(folder)[0].outputs["y"].tolist() == [read_manifest(folder).metadata["factor"]]


FULL_DISK = """
import ctypes, os, sys
from pathlib import Path
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
base = Path(sys.argv[1])
if ctypes.CDLL(None).unshare(0x20000 | (0 if os.geteuid() == 0 else 0x10000000)) != 0:
    sys.exit(77)
if os.system(f"mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=2m tmpfs {base} 2>/dev/null"):
    sys.exit(77)
import tensorflow as tf, tfs_deploy as td
weight = tf.Variable(tf.ones([1000, 1000]))
signature = td.Signature(lambda x: {"y": x @ weight}, inputs={"x": ("float32", (None, 1000))})
try:
    td.export_model(tf.Module(), base / "m", signatures=signature)
except td.TfsDeployError as error:
    print(type(error).__name__, error.message.replace(str(base), "BASE"), error.retriable, os.listdir(base))
"""


def test_a_disk_that_fills_up_while_tensorflow_writes(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode == 77:
        pytest.skip("this user may not mount a small disk in a namespace of its own")
    assert result.stdout == "EnvironmentFault no space left on the disk of BASE/m True []\n", result.stderr


def test_an_existing_version_is_refused_before_any_work(tmp_path):
    export(tmp_path, version=3, check=False)

    def never(x: Any) -> Any:
        raise AssertionError("traced although the version exists")

    with pytest.raises(UsageError, match="version 3 already exists"):
        export(tmp_path, td.Signature(never, inputs={"x": ("float32", ())}, outputs="y"), version=3)


def test_a_user_error_inside_the_model_is_no_error_of_the_disk(tmp_path):
    def reads_a_file(x: Any) -> Any:
        return {"y": x, "text": tf.constant(Path("/nowhere/at/all").read_text())}

    with pytest.raises(UsageError, match="cannot be traced") as caught:
        export(tmp_path, td.Signature(reads_a_file, inputs={"x": ("float32", ())}))
    assert "FileNotFoundError: [Errno 2]" in caught.value.message
    assert "(test_evidence.py, line" in caught.value.message


def test_a_result_is_plain(tmp_path):
    exported = export(tmp_path, version="timestamp")
    assert exported.path == tmp_path / "m" / str(exported.version)
    assert exported.pruned == ()
    assert json.loads((exported.path / "assets.extra" / "tfs_deploy.json").read_text())["metadata"] == {}
    assert [path.name for path in (tmp_path / "m").iterdir()] == [str(exported.version)]


def test_answers_that_differ_from_run_to_run_are_told(tmp_path, caplog):
    """A written seed makes the first answers the recorded ones; the second ones differ."""
    inputs = keras.Input((64,), name="row")
    model = keras.Model(inputs, keras.layers.Dropout(0.5, name="kept")(inputs, training=True))
    with caplog.at_level(logging.WARNING):
        td.export_model(model, tmp_path / "m", examples={"serving_default": {"row": np.ones((1, 64), np.float32)}})
    (said,) = (record.getMessage() for record in caplog.records if "differently each time" in record.getMessage())
    assert said.startswith("signature 'serving_default' answers the same example differently each time: output 'kept'")
