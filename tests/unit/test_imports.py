# SPDX-License-Identifier: Apache-2.0
"""What each light path may pull in, seen in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "h5py")
CLI_ONLY = ("pydantic", "yaml", "rich", "click", "httpx", "uvicorn", "docker", "orjson")


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import tfs_deploy", (*HEAVY, *CLI_ONLY, "numpy", "grpc", "google.protobuf")),
        ("import tfs_deploy; tfs_deploy.Client", (*HEAVY, *CLI_ONLY)),
        ("import tfs_deploy; tfs_deploy.RestClient", (*HEAVY, "pydantic", "yaml", "rich", "click", "grpc._cython")),
        ("import tfs_deploy; tfs_deploy.codec", (*HEAVY, *CLI_ONLY, "grpc")),
        ("import tfs_deploy; tfs_deploy.inspect_model", (*HEAVY, *CLI_ONLY, "grpc")),
        ("import tfs_deploy; tfs_deploy.export_model; tfs_deploy.Signature", HEAVY),
        ("import tfs_deploy; tfs_deploy.load_model; tfs_deploy.LocalModel", HEAVY),
        ("import tfs_deploy.deployment.file, tfs_deploy.config", (*HEAVY, "grpc")),
        ("import tfs_deploy.launch", HEAVY),
        ("import tfs_deploy.verify, tfs_deploy.report, tfs_deploy.demo; from tfs_deploy.rollout import *", HEAVY),
        (
            "from tfs_deploy.state import directory, endpoint, traffic",
            (*HEAVY, *CLI_ONLY, "numpy", "grpc", "google.protobuf", "tfs_deploy.client", "tfs_deploy.launch"),
        ),
        ("import tfs_deploy.state.lock", (*HEAVY, *CLI_ONLY, "numpy", "grpc", "tfs_deploy.rollout.run")),
        ("import tfs_deploy.server", HEAVY),
        (
            "import tfs_deploy.server.pytest_plugin",  # every session of pytest does
            (*HEAVY, *CLI_ONLY, "numpy", "grpc", "google.protobuf", "asyncio", "tfs_deploy.errors"),
        ),
        ("from tfs_deploy.doctor import gather, judge; judge(gather())", (*HEAVY, "grpc", "uvicorn", "pydantic")),
    ],
)
def test_light_path(statement, forbidden):
    code = f"{statement}\nimport sys\nprint(*sorted(set({forbidden!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_a_misspelt_module_is_told_without_tensorflow(tmp_path):
    line = [sys.executable, "-X", "importtime", "-m", "tfs_deploy", "export", "no.such:model", "--to", str(tmp_path)]
    result = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert "module 'no.such' not found" in result.stderr
    imported = {entry.rpartition("|")[2].strip() for entry in result.stderr.splitlines()}
    assert {"numpy", "tensorflow"} & imported == {"numpy"}


@pytest.mark.parametrize("package", ["tfs_deploy", "tfs_deploy.rollout", "tfs_deploy.store"])
def test_every_public_name_exists(package):
    code = f"import {package} as it\nfor name in it.__all__: assert getattr(it, name) is not None, name"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
