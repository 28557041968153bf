# SPDX-License-Identifier: Apache-2.0
"""Keras models in files: damaged ones, Python code in them, and those of Keras 2."""

from __future__ import annotations

import json
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

import tfs_deploy as td
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.export.sources import keras_file

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with a Lambda layer."""
    path = tmp_path_factory.mktemp("keras") / "doubling.keras"
    layers = [keras.Input((2,), name="x"), keras.layers.Lambda(lambda x: x * 2, output_shape=(2,), name="y")]
    keras.Sequential(layers).save(path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_damaged_files_are_not_called_missing(doubling, tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(doubling.read_bytes()[:-100])
    with pytest.raises(ModelError, match=f"cut{suffix} is damaged") as caught:
        td.export_model(path, tmp_path / "m")
    assert "copy or save" in caught.value.hint


def test_python_code_in_a_file_runs_only_when_the_caller_says_so(doubling, tmp_path):
    with pytest.raises(ModelError, match="holds Python code") as caught:
        td.export_model(doubling, tmp_path / "m")
    assert "--no-safe-mode" in caught.value.hint
    exported = td.export_model(doubling, tmp_path / "m", safe_mode=False, check=False)
    with td.load_model(exported.path) as model:
        assert model.predict({"x": [[1.0, 2.0]]})["y"].tolist() == [[2.0, 4.0]]
    with pytest.raises(UsageError, match="safe mode is about the Python code"):
        td.export_model(tf.Module(), tmp_path / "m", safe_mode=False)


@pytest.fixture
def of_keras_2(doubling, tmp_path) -> Path:
    path = tmp_path / "old.keras"
    with zipfile.ZipFile(doubling) as source, zipfile.ZipFile(path, "w") as target:
        for name in set(source.namelist()) - {"config.json", "metadata.json"}:
            target.writestr(name, source.read(name))
        target.writestr("config.json", json.dumps({"class_name": "Sequential", "module": "tf_keras", "config": {}}))
        target.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
    return path


def test_a_file_of_keras_2_needs_tf_keras(of_keras_2, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_file.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="was written by Keras 2") as caught:
        td.export_model(of_keras_2, tmp_path / "m")
    assert caught.value.hint == "pip install tf_keras"


def test_a_file_of_keras_2_is_loaded_by_tf_keras(of_keras_2, tmp_path, monkeypatch):
    asked: list[Any] = []
    package = types.ModuleType("tf_keras")
    package.models = types.SimpleNamespace(load_model=lambda path, **options: asked.append((path, options)) or "model")
    monkeypatch.setitem(sys.modules, "tf_keras", package)
    monkeypatch.setattr(keras_file.importlib.util, "find_spec", lambda _: object())
    assert keras_file.load_keras_file(of_keras_2) == "model"
    assert asked == [(str(of_keras_2), {"compile": False, "safe_mode": True})]
