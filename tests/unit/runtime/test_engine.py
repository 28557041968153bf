# SPDX-License-Identifier: Apache-2.0
"""The engine on models of every making."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from support.graphs import write_identity
from tfs_deploy import protos
from tfs_deploy.codec import numpy_dtype
from tfs_deploy.errors import (
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    RequestError,
)
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.savedmodel import inspect_model


@pytest.fixture(scope="module")
def zoo(models: Path) -> Any:
    with Engine.load(models / "zoo" / "2") as engine:
        yield engine


@pytest.mark.parametrize(
    "name", ["saved_model_half_plus_two_2_versions", "saved_model_half_plus_two_tf2_cpu", "saved_model_half_plus_three"]
)
def test_tf1_and_tf2_models(models: Path, name: str) -> None:
    with Engine.load(models / name / "00000123") as engine:
        outputs = engine.run("serving_default", {"x": np.float32([1.0])})
    assert outputs["y"].dtype == np.float32
    assert outputs["y"].tolist() == [3.5 if "three" in name else 2.5]


def test_tensorflow_is_not_imported(models: Path) -> None:
    path = models / "zoo" / "1"
    code = f"import sys; from tfs_deploy.runtime.engine import Engine; Engine.load({str(path)!r}).close(); "
    code += "assert 'tensorflow' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_beside_the_tensorflow_package(models: Path) -> None:
    path = models / "zoo" / "1"
    load = f"from tfs_deploy.runtime.engine import Engine; e = Engine.load({str(path)!r})"
    use = "import numpy as np; e.run('serving_default', {'x': np.float32([1])}); e.close()"
    tensorflow = "import tensorflow as tf; assert float(tf.constant(2.0) * 3) == 6"
    for code in (f"{load}; {tensorflow}; {use}", f"{tensorflow}; {load}; {use}; {tensorflow}"):
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


def test_every_dtype(zoo: Engine) -> None:
    outputs = zoo.run("types", {"x": np.float32([1, 2])})
    assert {name: array.dtype.name for name, array in outputs.items() if name not in ("string", "f64third")} == {
        name: name for name in outputs if name not in ("string", "f64third")
    }
    assert outputs["string"].tolist() == [b"0", b"1"]
    assert zoo.run("bf16", {"x": np.float32([1.5])})["y"].dtype.name == "bfloat16"
    assert zoo.run("half16", {"x": np.float32([1.5])})["y"].tolist() == [1.5]
    assert zoo.run("cplx", {"x": np.float32([1.5])})["y"].tolist() == [1.5 + 1.5j]


@given(st.lists(st.binary(max_size=60), max_size=8))
@settings(max_examples=40)
def test_strings_of_any_length(zoo: Engine, items: list[bytes]) -> None:
    array = np.empty(len(items), object)
    array[:] = items
    assert zoo.run("strs", {"txt": array})["raw_bytes"].tolist() == items


@pytest.mark.parametrize("shape", [(0, 3), (1, 0), (5, 7), (300, 200)])
def test_shapes_small_and_large(zoo: Engine, shape: tuple[int, int]) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for given_array in (array, np.asfortranarray(array), array.astype(">f4")):
        np.testing.assert_array_equal(zoo.run("dyn2d", {"x": given_array})["y"], array)


def test_a_large_result_outlives_the_model(models: Path) -> None:
    engine = Engine.load(models / "zoo" / "2")
    result = engine.run("dyn2d", {"x": np.ones((500, 500), np.float32)})["y"]
    engine.close()
    gc.collect()
    assert result.sum() == 250_000


def test_output_filter_and_repeated_calls(zoo: Engine) -> None:
    inputs = {"a": np.float32([1]), "b": np.int64([2])}
    assert list(zoo.run("two", inputs, output_filter=["pos"])) == ["pos"]
    for _ in range(30):
        assert zoo.run("two", inputs)["s"].tolist() == [3.0]


@pytest.mark.parametrize(
    ("signature", "inputs", "message", "hint"),
    [
        ("serving_defautl", {}, "unknown signature 'serving_defautl'", "did you mean 'serving_default'?"),
        ("two", {"a": 1}, "signature 'two' also needs input 'b'", "its inputs are a, b"),
        ("two", {"a": 1, "bb": 2}, "unknown input 'bb'", "did you mean 'b'?"),
    ],
)
def test_names_that_are_none(zoo: Engine, signature: str, inputs: Any, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        zoo.run(signature, {name: np.float32([value]) for name, value in inputs.items()})
    assert caught.value.message == message
    assert (caught.value.hint or "").startswith(hint)


def test_errors_have_tensorflows_words(zoo: Engine) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^Expects arg\[0\] to be float but double is provided$"):
        zoo.run("serving_default", {"x": np.float64([1])})
    with pytest.raises(InvalidArgumentError, match=r"^Incompatible shapes: \[2\] vs\. \[3\]"):
        zoo.run("two", {"a": np.zeros(3, np.float32), "b": np.zeros(2, np.int64)})


def test_a_deadline_ends_a_run(models: Path) -> None:
    with Engine.load(models / "zoo" / "2") as engine:
        for _ in range(3):
            with pytest.raises(DeadlineExceededError, match=r"^Timed out waiting for notification$"):
                engine.run("slow", {"x": np.float32([60_000])}, timeout=0.1)
        assert engine.run("slow", {"x": np.float32([0])}, timeout=10)["y"].tolist() == [0.0]


def test_many_threads(zoo: Engine) -> None:
    def call(number: int) -> bool:
        x = np.float32([number, number + 1])
        return np.array_equal(zoo.run("serving_default", {"x": x})["y"], x * 0.5 + 3)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(2000)))


def test_close_waits_for_running_calls(models: Path) -> None:
    engine = Engine.load(models / "zoo" / "2")
    started = threading.Event()
    results: list[Any] = []

    def call() -> None:
        started.set()
        results.append(engine.run("slow", {"x": np.float32([20])}))

    thread = threading.Thread(target=call)
    thread.start()
    started.wait()
    engine.close()
    thread.join()
    engine.close()
    # either the call came first and was waited for, or it found the model closed
    if results:
        assert results[0]["y"].tolist() == [20.0]
    with pytest.raises(FailedPreconditionError, match="closed"):
        engine.run("serving_default", {"x": np.float32([1])})


def test_load_errors(models: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Could not find SavedModel"):
        Engine.load(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"Could not find meta graph def matching supplied tags: \{ train \}"):
        Engine.load(models / "zoo" / "1", tags=("train",))
    broken = tmp_path / "1"
    shutil.copytree(models / "zoo" / "1", broken)
    (broken / "variables" / "variables.data-00000-of-00001").unlink()
    with pytest.raises(NotFoundError, match=r"variables\.data-00000-of-00001"):
        Engine.load(broken)
    with pytest.raises(InvalidArgumentError):
        Engine.load(models / "zoo" / "1", config=b"\xff\xff")


def test_memory_is_given_back(models: Path) -> None:
    code = """
import sys, numpy as np
from pathlib import Path
from tfs_deploy.codec import numpy_dtype
from tfs_deploy.runtime.engine import Engine
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
sizes = []
for cycle in range(20):
    with Engine.load(sys.argv[1]) as engine:
        engine.run("strs", {"txt": np.array([b"x" * 100_000] * 50, object)})
        engine.run("dyn2d", {"x": np.ones((1000, 1000), np.float32)})
    sizes.append(resident())
assert sizes[-1] < 1.1 * sizes[5], [size >> 20 for size in sizes]
"""
    result = subprocess.run(
        [sys.executable, "-c", code, str(models / "zoo" / "2")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_inputs_with_a_default_may_be_left_out(models: Path) -> None:
    with Engine.load(models / "saved_model_half_plus_two_tf2_cpu" / "00000123") as engine:
        assert engine.signatures["serving_default"].defaults == {"x"}
        assert engine.run("serving_default", {})["y"].tolist() == [2.0]
        assert engine.run("serving_default", {"x": np.float32([4])})["y"].tolist() == [4.0]


def test_a_graph_that_would_end_the_process(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "saved_model_half_plus_two_tf2_cpu" / "00000123", tmp_path / "1"))
    saved = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].graph_def.library.function[-1].node_def[0].name = ""
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(DataLossError, match=r"1/saved_model\.pb is damaged"):
        Engine.load(folder)


@pytest.mark.parametrize(
    ("dtype", "plain"),
    [
        ("qint8", "int8"),
        ("quint8", "uint8"),
        ("qint32", "int32"),
        ("float8_e5m2", None),
        ("int2", None),
        ("uint4", None),
    ],
)
def test_dtypes_that_few_models_have(tmp_path: Path, dtype: str, plain: str | None) -> None:
    write_identity(tmp_path, dtype)
    assert inspect_model(tmp_path).signatures["serving_default"].inputs["x"].dtype == dtype
    values = np.array([1, 0, 1], plain or numpy_dtype(dtype))
    with Engine.load(tmp_path) as engine:
        answer = engine.run("serving_default", {"x": values})["y"]
    assert answer.dtype == values.dtype
    assert answer.astype(int).tolist() == [1, 0, 1]


@pytest.mark.parametrize("text", [False, True])
def test_shapes_that_tensorflow_1_noted_wrongly_do_not_count(
    tmp_path: Path, text: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The importer of TensorFlow's API refuses such a graph, the server's session takes it (graph_constructor.cc)."""
    (scratch := tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    folder = write_identity(tmp_path / "1", "float32", noted=5)
    if text:
        binary = folder / "saved_model.pb"
        model = protos.SavedModel.FromString(binary.read_bytes())
        (folder / "saved_model.pbtxt").write_text(text_format.MessageToString(model))
        binary.unlink()
    with Engine.load(folder) as engine:
        assert engine.run("serving_default", {"x": np.ones(3, np.float32)})["y"].tolist() == [1, 1, 1]
        assert len(list(scratch.iterdir())) == 1
    assert not list(scratch.iterdir())


def test_a_copied_model_keeps_them_as_its_files_stay_as_they_are(tmp_path: Path) -> None:
    from tfs_deploy import export_model

    source = write_identity(tmp_path / "source", "float32", noted=5)
    examples = {"serving_default": {"x": np.ones(3, np.float32)}}
    version = export_model(source, tmp_path / "m", examples=examples)
    written = (version.path / "saved_model.pb").read_bytes()
    assert written == (source / "saved_model.pb").read_bytes()


def test_the_library_loads_where_nothing_can_be_written():
    program = """
import tempfile
from tfs_deploy.runtime.library import load_library
tempfile.tempdir = "/nowhere"
load_library()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
