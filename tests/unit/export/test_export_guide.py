# SPDX-License-Identifier: Apache-2.0
"""The code in docs/export.md runs as it stands."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tfs_deploy.cli.commands.export import command
from tfs_deploy.cli.shared.signature_text import parse_signatures

GUIDE = (Path(__file__).parents[3] / "docs" / "export.md").read_text(encoding="utf-8")


@pytest.mark.tensorflow
def test_the_python_blocks_run_in_order(tmp_path):
    pytest.importorskip("keras")
    code = "\n".join(re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "models" / "shapes").iterdir()) == ["1", "2", "3"]


@pytest.mark.parametrize("line", re.findall(r"^    \$ tfs-deploy export (.*)$", GUIDE, re.MULTILINE))
def test_the_commands_parse(line):
    context = command.make_context("export", shlex.split(line))
    assert context.params["base_path"].startswith("models/")
    signatures = context.params["signatures"]
    assert (parse_signatures(signatures) is None) == (not signatures)
