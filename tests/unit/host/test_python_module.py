# SPDX-License-Identifier: Apache-2.0
"""What runs in a process of its own takes no module from the user's working directory."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tfs_deploy.host import python_module
from tfs_deploy.host.python_module import module_command

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("has_option", [False, hasattr(sys.flags, "safe_path")])
def test_the_working_directory_does_not_stand_in_for_the_standard_library(
    has_option: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')\n")
    monkeypatch.setattr(python_module, "_HAS_OPTION_P", has_option)
    command = module_command("json.tool", "--compact")
    done = subprocess.run(command, cwd=tmp_path, input='{"x": [1, 2]}', capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, '{"x":[1,2]}', "")
