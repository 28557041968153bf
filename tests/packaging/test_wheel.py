"""The wheel: builds, is small, and its base install is a working client without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from support.pins import write_pins

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    # The build backend is part of the development extra, so no second environment has to be made for it.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.whl"))


def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 1_200_000


def test_wheel_holds_the_schema_of_the_deployment_file(wheel):
    name = "tfs_deploy/deployment/file/deployment.schema.json"
    assert zipfile.ZipFile(wheel).read(name) == (ROOT / name).read_bytes()


def test_base_install_is_a_client(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    constraints = write_pins(tmp_path / "pins.txt")
    install = [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), str(wheel)]
    result = subprocess.run(install, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    code = (
        "import sys, tfs_deploy\n"
        "client = tfs_deploy.Client('localhost:1')\n"
        "data = tfs_deploy.codec.encode_predict_request('m', {'x': [1.0]})\n"
        "assert tfs_deploy.codec.decode_predict_request(data).model == 'm'\n"
        "client.close()\n"
        "from importlib.metadata import distributions\n"
        "print(*sorted(d.metadata['Name'].lower() for d in distributions()))\n"
    )
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    installed = set(result.stdout.split()) - {"pip", "setuptools", "wheel"}
    assert installed == {"tfs-deploy", "numpy", "grpcio", "protobuf", "typing_extensions"}
    result = subprocess.run(
        [str(python), "-m", "tfs_deploy"], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert (result.returncode, "pip install 'tfs-deploy[cli]'" in result.stderr) == (3, True)
