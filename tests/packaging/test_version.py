# SPDX-License-Identifier: Apache-2.0
"""Every file that names this release's version names the same one (for templates: tests/e2e/test_ci_templates.py)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfs_deploy import __version__

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("CHANGELOG.md", r"^## ([\d.]+)"),
        ("docker/compose.yaml", r"tfs-deploy/server:([\d.]+)"),
        ("docs/demo.txt", r"tfs deploy version: ([\d.]+)"),
    ],
)
def test_the_version_is_the_same_everywhere(name, pattern):
    found = re.findall(pattern, (ROOT / name).read_text(), re.MULTILINE)
    assert found[:1] == [__version__]
    assert name == "CHANGELOG.md" or set(found) == {__version__}
