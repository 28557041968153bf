# SPDX-License-Identifier: Apache-2.0
"""Models in the caller's own process."""

from __future__ import annotations

import contextlib
import shutil
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from support.live import until
from tfs_deploy import protos
from tfs_deploy.errors import FailedPreconditionError, ModelError, RequestError, StatusError, UsageError
from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
from tfs_deploy.runtime.inputs import named_arrays
from tfs_deploy.savedmodel.manifest import build_manifest, write_manifest


@pytest.fixture(scope="module")
def zoo(models: Path) -> Any:
    with td.load_model(models / "zoo") as model:
        yield model


@pytest.fixture
def deployment(tmp_path: Path, models: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(
        f"name: shop\nserver: {{target: embedded}}\nmodels:\n"
        f"  - name: zoo\n    base_path: {models / 'zoo'}\n"
        "    versions: {specific: [1, 2]}\n    labels: {stable: 1}\n"
        f"  - name: three\n    base_path: {models / 'saved_model_half_plus_three'}\n    versions: latest\n"
    )
    return path


def test_which_version(models: Path) -> None:
    for arguments, version in (((models / "zoo",), 2), ((models / "zoo", 1), 1), ((models / "zoo" / "1",), 1)):
        with td.load_model(*arguments) as model:
            assert model.version == version
            assert model.path.name == str(version)


def test_labels_of_a_deployment_file(deployment: Path) -> None:
    for arguments, version in (({}, 2), ({"label": "stable"}, 1), ({"version": 1}, 1)):
        with td.load_model(deployment, model="zoo", **arguments) as model:
            assert model.version == version
    with td.load_model(deployment, model="three") as model:
        assert model.version == 123


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "zoo", "label": "canary"}, "model zoo has no label 'canary'"),
        ({"model": "zo"}, "has no model 'zo'"),
        ({}, "has several models"),
        ({"model": "zoo", "label": "stable", "version": 1}, "a version and a label cannot be given together"),
        ({"model": "zoo", "max_batch": 0}, "max_batch must be at least 1, not 0"),
        ({"model": "zoo", "requires_tensorflow": ">=99"}, ">=99 is required"),
    ],
)
def test_wrong_arguments(deployment: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        td.load_model(deployment, **arguments)
    assert caught.value.hint


def test_a_label_needs_a_deployment_file(models: Path) -> None:
    with pytest.raises(UsageError, match="a label needs a deployment file") as caught:
        td.load_model(models / "zoo", label="stable")
    assert "label='stable'" in (caught.value.hint or "")


def test_models_that_cannot_be_loaded(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no version 7"):
        td.load_model(models / "zoo", 7)
    with pytest.raises(ModelError, match="does not exist"):
        td.load_model(tmp_path / "nowhere")
    broken = tmp_path / "base" / "1"
    shutil.copytree(models / "zoo" / "1", broken)
    (broken / "saved_model.pb").write_bytes(b"garbage")
    with pytest.raises(ModelError, match=r"saved_model\.pb"):
        td.load_model(broken)
    with pytest.raises(ModelError, match="meta graph"):
        td.load_model(models / "zoo", tags=("train",))


def test_a_model_of_a_newer_tensorflow(models: Path, tmp_path: Path) -> None:
    newer = tmp_path / "1"
    shutil.copytree(models / "zoo" / "1", newer)
    saved = protos.SavedModel.FromString((newer / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].meta_info_def.tensorflow_version = "99.1.0"
    (newer / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match=r"written by TensorFlow 99\.1\.0"):
        td.load_model(newer)
    with td.load_model(newer, allow_newer=True) as model:
        assert model.predict([1.0])["y"].tolist() == [2.5]


@pytest.mark.parametrize(
    "inputs",
    [[1, 2], [1.0, 2.0], (1, 2), np.float32([1, 2]), {"x": [1, 2]}, {"x": np.float32([1, 2])}],
)
def test_kinds_of_inputs(zoo: td.LocalModel, inputs: Any) -> None:
    assert zoo.predict(inputs)["y"].tolist() == [3.5, 4.0]


def test_integers_take_the_signatures_dtype(zoo: td.LocalModel) -> None:
    assert zoo.predict({"a": [1.5], "b": [2]}, "two")["s"].tolist() == [3.5]
    assert zoo.predict([200], "u8")["y"].tolist() == [200]
    with pytest.raises(RequestError, match="300"):
        zoo.predict([300], "u8")
    assert zoo.predict(["a", b"b"], "strs")["upper"].tolist() == [b"A", b"B"]


@pytest.mark.parametrize(
    ("inputs", "signature", "message"),
    [
        (np.float64([1]), None, r"input x is float64 \[1\], but the model expects float32 \[\?\]"),
        ([[1.0]], None, r"input x is float32 \[1, 1\], but the model expects float32 \[\?\]"),
        ([[1.0, 2.0]], "mat", r"input m is float32 \[1, 2\], but the model expects float32 \[\?, 3\]"),
        (["text"], None, r"input x is string \[1\]"),
        ([1.0], "two", "signature 'two' has 2 inputs, which must be given by name"),
        ([1.0], "tow", "unknown signature 'tow'"),
        ({"y": [1.0]}, None, "unknown input 'y'"),
    ],
)
def test_inputs_that_do_not_fit(zoo: td.LocalModel, inputs: Any, signature: str | None, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        zoo.predict(inputs, signature)
    assert caught.value.hint


def test_the_only_signature_is_the_default(models: Path, tmp_path: Path) -> None:
    only = tmp_path / "1"
    shutil.copytree(models / "zoo" / "1", only)
    saved = protos.SavedModel.FromString((only / "saved_model.pb").read_bytes())
    definitions = saved.meta_graphs[0].signature_def
    for name in [name for name in definitions if name not in ("i32", "__saved_model_init_op")]:
        del definitions[name]
    (only / "saved_model.pb").write_bytes(saved.SerializeToString())
    with td.load_model(only) as model:
        assert model.predict([7])["y"].tolist() == [7]
    with td.load_model(models / "saved_model_counter") as model, pytest.raises(RequestError) as caught:
        model.predict({})
    assert "get_counter" in (caught.value.hint or "")


class Frame:
    """As much of a pandas DataFrame as is used."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._data = columns
        self.columns = list(columns)

    def __getitem__(self, name: str) -> Any:
        values = np.array(self._data[name])
        return types.SimpleNamespace(to_numpy=lambda: values)

    def to_numpy(self) -> np.ndarray:
        return np.array(list(self._data.values())).T


def test_tables(zoo: td.LocalModel) -> None:
    table = Frame({"a": [1.5, 2.5], "b": [1, 2], "more": [0, 0]})
    assert zoo.predict(table, "two")["s"].tolist() == [2.5, 4.5]
    assert zoo.predict(Frame({"p": [1.0], "q": [2.0], "r": [3.0]}), "mat")["sum"].tolist() == [6.0]
    with pytest.raises(RequestError, match="no column for input b"):
        zoo.predict(Frame({"a": [1.0]}), "two")


def test_pandas_itself(zoo: td.LocalModel) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"a": [1.5, 2.5], "b": [1, 2], "word": ["cat", "Dog"]})
    assert zoo.predict(table, "two")["s"].tolist() == [2.5, 4.5]
    assert zoo.predict({"x": table["a"]})["y"].tolist() == [3.75, 4.25]
    assert zoo.predict(table["a"])["y"].tolist() == [3.75, 4.25]
    assert zoo.predict({"txt": table["word"]}, "strs")["upper"].tolist() == [b"CAT", b"DOG"]
    assert zoo.predict({"txt": table["word"].astype("string")}, "strs")["upper"].tolist() == [b"CAT", b"DOG"]
    rows = pandas.DataFrame(np.arange(6.0).reshape(2, 3), columns=["p", "q", "r"])
    assert zoo.predict(rows, "mat")["sum"].tolist() == [3.0, 12.0]
    assert zoo.predict(table.iloc[[1]], "two")["s"].tolist() == [4.5]
    with pytest.raises(RequestError, match="no column for input b"):
        zoo.predict(table[["a"]], "two")
    missing = pandas.DataFrame({"a": [1.5, None], "b": [1, None]})
    with pytest.raises(RequestError, match=r"input b is float64 \[2\], but the model expects int64"):
        zoo.predict(missing, "two")


def test_a_column_fits_an_input_with_one_column() -> None:
    pandas = pytest.importorskip("pandas")
    info = SignatureInfo("s", "", {"x": TensorSpec("x", "float32", (None, 1))}, {})
    table = pandas.DataFrame({"x": [1.5, 2.5]})
    for given in (table, table["x"], {"x": table["x"]}):
        assert named_arrays(given, info)["x"].tolist() == [[1.5], [2.5]]
    with pytest.raises(RequestError, match="but the model expects float32"):
        named_arrays({"x": np.float32([1.5, 2.5])}, info)  # an array has a shape of its own


@pytest.mark.parametrize("rows", [1, 3, 4, 10])
def test_large_calls_are_cut(models: Path, rows: int) -> None:
    with td.load_model(models / "zoo", max_batch=3) as model:
        x = np.arange(rows, dtype=np.float32)
        np.testing.assert_array_equal(model.predict(x)["y"], x * 0.5 + 3)
        m = np.ones((rows, 3), np.float32)
        assert model.predict(m, "mat")["full"].shape == (rows, 3)


def test_calls_that_cannot_be_cut(models: Path) -> None:
    with td.load_model(models / "zoo", max_batch=2) as model:
        with pytest.raises(RequestError, match="output y is one value for all rows"):
            model.predict([1.0, 2.0, 3.0], "toscalar")
        with pytest.raises(RequestError, match="different numbers of rows"):
            model.predict({"a": [1.0] * 3, "b": [1] * 2}, "two")
        assert model.predict(3.0, "scalar")["y"] == 6.0


def test_a_graph_that_is_not_what_was_exported(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "zoo" / "1", tmp_path / "1"))
    write_manifest(folder, build_manifest(folder, signature_digest=""))
    saved = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    saved.meta_graphs[0].graph_def.node[0].attr[
        "dtype"
    ].type = 99  # TensorFlow would end the process over some of these
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ModelError, match=r"1/saved_model\.pb has changed since the export: ") as caught:
        td.load_model(folder)
    assert "inspect --check" in (caught.value.hint or "")


def test_a_tensor_with_an_impossible_number(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "zoo" / "1", tmp_path / "1"))
    saved = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    for name, number in (("x", "\x10"), ("y", "9" * 30)):
        tensors = signature.inputs if name == "x" else signature.outputs
        tensors[name].name = tensors[name].name.partition(":")[0] + ":" + number
        (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
        with td.load_model(folder) as model, pytest.raises(StatusError, match="was not found in the Graph"):
            model.predict([1.0])


def test_many_threads_and_a_close_among_them(models: Path) -> None:
    """Each thread gets its own answers, also from calls that are cut; a close waits, calls after it are refused."""
    model = td.load_model(models / "zoo", max_batch=3)
    answered = [0] * 8

    def call(number: int) -> None:
        x = np.arange(8, dtype=np.float32) * number
        with contextlib.suppress(FailedPreconditionError):
            while True:
                assert model.predict(x)["y"].tolist() == (x * 0.5 + 3).tolist()
                answered[number] += 1

    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(call, number) for number in range(8)]
        until(lambda: all(answered) or any(each.done() for each in calls))
        for _ in range(50):
            assert model.predict([1.0])["y"].tolist() == [3.5]
        model.close()
        for each in calls:
            each.result(timeout=30)
    assert all(answered)
    model.close()  # a second time does nothing
    with pytest.raises(FailedPreconditionError, match="closed"):
        model.predict([1.0])
