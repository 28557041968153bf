# SPDX-License-Identifier: Apache-2.0
"""docs/server.md and testing.md: every example runs; every exception of the conformance suite is listed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tfs_deploy.server.process.flags import IGNORED_FLAGS, OWN_FLAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "server.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAMS = BLOCK.findall(TEXT)
FILES = {
    block.split("\n")[0].removeprefix("# "): block
    for block in BLOCK.findall((ROOT / "docs" / "testing.md").read_text())
}


def run(command: list[str], folder: Path) -> None:
    result = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def folder(models: Path, tmp_path: Path) -> Path:
    shutil.copytree(models / "saved_model_half_plus_two_cpu", tmp_path / "models" / "digits")
    return tmp_path


def test_programs(folder: Path) -> None:
    assert len(PROGRAMS) >= 4
    # in one process, each with names of its own
    run(["-W", "error", "-c", f"for program in {PROGRAMS!r}: exec(program, {{}})"], folder)


def test_the_page_about_testing(models: Path, tmp_path: Path) -> None:
    assert set(FILES) == {"conftest.py", "test_service.py", "test_faults.py", "test_alone.py"}
    shutil.copytree(models / "saved_model_half_plus_two_cpu", tmp_path / "models" / "half_plus_two")
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    # an installation from before the entry point was there does not have it yet; two workers, two servers
    plugins = ["-p", "no:cacheprovider", "-p", "tfs_deploy.server.pytest_plugin"]
    run(["-m", "pytest", "-q", "-W", "error", "-n", "2", "--dist", "loadfile", *plugins], tmp_path)


def exceptions() -> Iterator[str]:
    for name in ("rest", "grpc", "batching", "startup"):
        path = ROOT / "tests" / "conformance" / f"test_recorded_{name}.py"
        spec = importlib.util.spec_from_file_location(f"page_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        yield from getattr(module, "EXCEPTIONS", {})
        yield from getattr(module, "DIFFERENT", {})


def test_exceptions_are_listed() -> None:
    """All of them and no others, and no more than three in a hundred of the cases."""
    table = TEXT.partition("Recorded cases that this server answers differently:")[2].partition("On purpose")[0]
    assert sorted(re.findall(r"`(\d{3}_\w+)`", table)) == sorted(exceptions())
    cases = len(list((ROOT / "tests" / "conformance" / "recorded").glob("*/*.json")))
    assert f"held to {cases} requests" in TEXT
    assert len(list(exceptions())) <= 0.03 * cases


def test_flags_are_listed() -> None:
    section = TEXT.partition("## Flags")[2].partition("## Where")[0]
    own = re.findall(r"^\| `--(\w+)", section, re.MULTILINE)
    assert sorted(own) == sorted(OWN_FLAGS)
    without = section.partition("These are ignored")[2].partition("Its own flags")[0]
    assert sorted(re.findall(r"`(\w+)`", without)) == sorted(IGNORED_FLAGS)
