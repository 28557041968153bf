"""What each light path may pull in, seen in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "sklearn", "h5py")
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
        ("import tfs_deploy.spec, tfs_deploy.config", (*HEAVY, "grpc")),
        ("import tfs_deploy.launch", HEAVY),
        ("import tfs_deploy.verify, tfs_deploy.rollout, tfs_deploy.report, tfs_deploy.demo", HEAVY),
        ("import tfs_deploy.server", HEAVY),
        ("from tfs_deploy.doctor import gather, judge; judge(gather())", (*HEAVY, "grpc", "uvicorn", "pydantic")),
    ],
)
def test_light_path(statement, forbidden):
    code = f"{statement}\nimport sys\nprint(*sorted(set({forbidden!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_every_public_name_exists():
    code = "import tfs_deploy\nfor name in tfs_deploy.__all__: assert getattr(tfs_deploy, name) is not None, name"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
