# SPDX-License-Identifier: Apache-2.0
"""The examples in scripts/examples that need no deployment run as they stand, and show what they say."""

from __future__ import annotations

import functools
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import tfs_deploy as td
from support.live import is_open

EXAMPLES = Path(__file__).resolve().parents[2] / "scripts/examples"
#: what each one leaves, and a line that it prints
EXPECTED = {
    "load_savedmodel": (["linear/1", "linear/2"], "version 2: [3.0, 2.0]"),
    "multiple_signatures": (["shapes/1"], "best_two {'labels': ('object', (4, 2)), 'scores': ('float32', (4, 2))}"),
    "convert_pretrained": (["pretrained/1", "pretrained/2", "frozen/1"], "float32 [?, 2] -> [8.0, 18.0, -2.0]"),
    "keras_layer": (["features/1", "scores/1"], "trained weights: 2, accuracy 0."),
    "digits": (["digits/1"], " in Keras"),
}


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3 with NumPy 2
@pytest.mark.parametrize("name", EXPECTED)
def test_it_runs_as_it_stands(name, tmp_path, monkeypatch, capsys):
    """In this process, so that TensorFlow is imported once for all of them."""
    versions, line = EXPECTED[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py"])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert line in capsys.readouterr().out
    found = {f"{path.parent.name}/{path.name}" for path in (tmp_path / "models").glob("*/*") if path.name.isdigit()}
    assert found == set(versions)


@pytest.mark.tensorflow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras 3 with NumPy 2
def test_the_story_of_a_deployment_runs(tmp_path, monkeypatch, capsys, free_port):
    # that a written model is checked in a fresh process is seen above
    monkeypatch.setattr(td, "export_model", functools.partial(td.export_model, check=False))
    monkeypatch.setattr(sys, "argv", ["deployment.py", str(tmp_path), str(free_port)])
    try:
        runpy.run_path(str(EXAMPLES / "deployment.py"), run_name="__main__")
    finally:  # also after an interrupt
        if (tmp_path / "scale.yaml").exists():
            td.Deployment.load(tmp_path / "scale.yaml").down()
    lines = capsys.readouterr().out.splitlines()
    told = ["version 1: [[30.0]]", "done ['pass', 'pass']", "version 2: [[300.0]]", "smoke: True"]
    assert [line for line in lines if line in told] == told
    assert lines[-2:] == ["done", "version 1 again: [[30.0]]"]
    assert not is_open(free_port)


def test_the_page_about_python_shows_the_story_as_it_is():
    page = EXAMPLES.parents[1].joinpath("docs/python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    program = "".join(f"{line.strip()}\n" for line in EXAMPLES.joinpath("deployment.py").read_text().splitlines())
    assert len(blocks) >= 5
    for block in blocks:
        assert "".join(f"{line.strip()}\n" for line in block.splitlines()) in program


def test_each_example_is_tested_and_can_be_started():
    deployed = {"rollout", "deployment"}  # by the guide to rollouts, and below
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(EXPECTED) | deployed
    for path in EXAMPLES.glob("*.py"):
        assert os.access(path, os.X_OK), path
        assert f"usage: {path.name}" in path.read_text()


@pytest.mark.full
@pytest.mark.parametrize("name", EXPECTED)
def test_it_runs_from_a_shell_into_a_folder_that_is_named(name, tmp_path):
    result = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", tmp_path / "here"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert all((tmp_path / "here" / version).is_dir() for version in EXPECTED[name][0])
