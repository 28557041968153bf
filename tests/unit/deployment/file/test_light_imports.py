# SPDX-License-Identifier: Apache-2.0
"""What reads or starts a deployment costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"tensorflow", "grpc", "pydantic", "yaml", "numpy", "google"}


@pytest.mark.parametrize("package", ["tfs_deploy.deployment.file", "tfs_deploy.config", "tfs_deploy.launch"])
def test_a_package_is_light_to_import(package):
    code = f"import sys, {package}; print(' '.join({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == []


def test_a_file_is_read_and_rendered_without_tensorflow_and_grpc(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("name: a\nmodels: [{name: m, base_path: m}]\n")
    code = (
        "import sys\n"
        "from tfs_deploy.config import config_files\n"
        "from tfs_deploy.deployment.file import load_deployment\n"
        f"config_files(load_deployment({str(path)!r})); print(' '.join({{'tensorflow', 'grpc'}} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.split() == []


def test_a_missing_package_names_the_extra(tmp_path):
    (tmp_path / "pydantic.py").write_text("raise ModuleNotFoundError('No module named pydantic', name='pydantic')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from tfs_deploy.errors import MissingExtraError; from tfs_deploy.deployment.file import load_deployment\n"
        "try: load_deployment('x.yaml')\n"
        "except MissingExtraError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert "pip install 'tf-serving-deploy[cli]'" in done.stdout
