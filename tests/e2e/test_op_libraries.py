# SPDX-License-Identifier: Apache-2.0
"""A model with an op of a shared library: run, exported, checked and served where the library is named."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.forked_command import run_command
from support.live import free_ports, is_open, until
from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.config.command_line import server_flags
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError
from tfs_deploy.protos.signatures import DTYPE_NUMBERS

SOURCE = Path(__file__).parents[1] / "support" / "twice_op.c"
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # an imported TensorFlow has further places in its path
    tensorflow = importlib.util.find_spec("tensorflow").submodule_search_locations[0]
    path = tmp_path_factory.mktemp("op") / "twice.so"
    linked = [f"-L{tensorflow}", "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2"]
    command = ["gcc", "-shared", "-fPIC", "-w", f"-I{tensorflow}/include", "-o", str(path), str(SOURCE), *linked]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = protos.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.graph_def.node.add(name="x", op="Placeholder").attr["dtype"].type = DTYPE_NUMBERS["float32"]
    graph.graph_def.node.add(name="y", op="TwiceForTests", input=["x"])
    definition = graph.signature_def["serving_default"]
    definition.method_name = "tensorflow/serving/predict"
    for side, name in (("inputs", "x"), ("outputs", "y")):
        info = getattr(definition, side)[name]
        info.name, info.dtype = f"{name}:0", DTYPE_NUMBERS["float32"]
        info.tensor_shape.dim.add(size=-1)
    folder = tmp_path_factory.mktemp("twice") / "twice"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def test_without_the_library_the_error_says_how_to_load_it(base):
    run = run_command("run", base, "-i", "x=[1.5]", preload="numpy")
    assert run.returncode == 2
    assert "Op type not registered" in run.stderr
    assert "hint: load the shared library that has the op: --load-op-library FILE.so" in run.stderr
    lint = run_command("lint", base, "--select", "TFS202")
    assert "op TwiceForTests" in lint.stdout
    missing = run_command("lint", base, "--load-op-library", "nowhere.so")
    assert missing.returncode == 2
    assert "the op library nowhere.so is not a file" in missing.stderr


def test_commands_load_it_into_all_that_they_start(base, library, tmp_path):
    chosen = ("--load-op-library", library)
    run = run_command("run", base, "-i", "x=[1.5]", "--json", *chosen, preload="numpy")
    assert json.loads(run.stdout)["outputs"]["y"]["values"] == [3.0], run.stderr
    assert "nothing found" in run_command("lint", base, "--select", "TFS202", *chosen).stdout
    export = run_command("export", base, "--to", tmp_path / "m", "--example", "x=[1.5]", *chosen, preload="numpy")
    assert export.returncode == 0, export.stderr
    verify = run_command("verify", tmp_path / "m", "--load", "0", "--json", *chosen, preload="numpy")
    assert verify.returncode == 0, verify.stdout + verify.stderr
    broken = run_command("run", base, "-i", "x=[1.5]", "--load-op-library", SOURCE, preload="numpy")
    assert broken.returncode == 3
    assert "twice_op.c cannot be loaded" in broken.stderr


def test_the_embedded_server_takes_it_as_a_flag(base, library):
    (port,) = free_ports(1)
    flags = [f"--port={port}", "--model_name=twice", f"--model_base_path={base}", f"--load_op_library={library}"]
    command = [sys.executable, "-m", "tfs_deploy.server", *flags]
    environment = {key: value for key, value in os.environ.items() if key != "TFS_DEPLOY_OP_LIBRARIES"}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as server:
        try:
            until(lambda: is_open(port))
            with Client(f"127.0.0.1:{port}", timeout=60) as client:
                assert client.predict("twice", {"x": np.float32([1, 2])}).outputs["y"].tolist() == [2.0, 4.0]
        finally:
            server.terminate()


def test_a_deployment_file_names_it(base, library, tmp_path):
    file = tmp_path / "twice.yaml"
    file.write_text(
        f"name: twice\nserver: {{op_libraries: [{library}]}}\nmodels:\n  - {{name: twice, base_path: {base}}}\n"
    )
    deployment = load_deployment(file, check_disk=True)
    assert f"--load_op_library={library}" in server_flags(deployment, tmp_path)
    lint = run_command("lint", base, "--select", "TFS202", "--deployment", file)
    assert "nothing found" in lint.stdout, lint.stderr
    library_moved = file.read_text().replace(str(library), "gone.so")
    file.write_text(library_moved)
    with pytest.raises(SpecError, match=r"gone\.so is not a file"):
        load_deployment(file, check_disk=True)
