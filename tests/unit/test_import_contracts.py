# SPDX-License-Identifier: Apache-2.0
"""The import contracts of pyproject.toml hold, and they refuse what they are there for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: folders may hold more modules than this only where it is said why
MOST_MODULES = 15
LARGER = {"cli/commands": "one file a command"}


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package with its contracts, to plant imports in."""
    shutil.copytree(ROOT / "tfs_deploy", tmp_path / "tfs_deploy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(house: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    environment = {**os.environ, "PYTHONPATH": str(house)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=house, env=environment, capture_output=True, text=True, timeout=300
    )


def plant(house: Path, module: str, line: str) -> None:
    path = house.joinpath(*module.split(".")).with_suffix(".py")
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "line", "refused"),
    [
        ("tfs_deploy.text", "", None),
        ("tfs_deploy.codec.wire", "from tfs_deploy.codec import encode", "no circles BROKEN"),
        ("tfs_deploy.codec.wire", "def late():\n    from tfs_deploy.codec import encode", "no circles BROKEN"),
        ("tfs_deploy.config.diff", "from tfs_deploy.launch import logs", "left never imports right BROKEN"),
        ("tfs_deploy.client.protocols", "import tensorflow", "TensorFlow only where models are written or run BROKEN"),
    ],
    ids=["as it is", "a circle", "a circle inside a function", "an arrow back", "TensorFlow in the client"],
)
def test_a_planted_import_is_refused(house, module, line, refused):
    plant(house, module, line)
    result = lint(house)
    assert (result.returncode == 0) == (refused is None), result.stdout + result.stderr
    assert refused is None or refused in result.stdout, result.stdout


def test_no_folder_is_crowded():
    package = ROOT / "tfs_deploy"
    modules = (path for path in package.rglob("*.py") if path.name != "__init__.py")
    count = Counter(path.parent.relative_to(package).as_posix() for path in modules)
    assert {folder: n for folder, n in count.items() if n > MOST_MODULES and folder not in LARGER} == {}
