# SPDX-License-Identifier: Apache-2.0
"""Files name the package as pip does, and the version of this release (templates: tests/e2e/test_ci_templates.py)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfs_deploy import __version__

ROOT = Path(__file__).resolve().parents[2]


#: what another project on PyPI is called: never to be installed, and no extra of ours
OTHER = re.compile(r"tfs-deploy\[[a-z]|(?<!un)install (-\S+ )*[\"']?tfs-deploy[ \"'`=<>~]")


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


def test_nothing_tells_anyone_to_install_the_other_project():
    folders = ("configs", "docker", "docs", "scripts", "tests", "tfs_deploy")
    files = [*ROOT.glob("*.*"), *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    texts = [path for path in files if path.suffix in (".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml")]
    assert len(texts) > 1000
    texts.remove(Path(__file__).resolve())  # the examples below
    wrong = [str(path.relative_to(ROOT)) for path in texts if OTHER.search(path.read_text(errors="replace"))]
    assert wrong == []
    for told in ("pip install 'tfs-deploy[cli]'", "pip install tfs-deploy ", "install --upgrade tfs-deploy`"):
        assert OTHER.search(told)
    for other in ("pip uninstall -y tfs-deploy ", "pip install tf-serving-deploy", "install tfs-deploy/server"):
        assert not OTHER.search(other)
