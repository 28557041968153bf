# SPDX-License-Identifier: Apache-2.0
"""docs/docker.md: its deployment file loads, its commands and keys exist."""

from __future__ import annotations

import re
from pathlib import Path

from tfs_deploy.cli.main import COMMANDS
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.schema import SECTIONS
from tfs_deploy.launch.memory import _RAM_FOR_A_BYTE

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/docker.md").read_text()


def test_its_deployment_file_loads(tmp_path):
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    path = tmp_path / "digits.yaml"
    path.write_text(block)
    deployment = load_deployment(path)
    assert deployment.server.docker is not None
    assert deployment.server.docker.reference.release == (2, 19)
    assert deployment.server.alternate_ports == (8510, 8511)


def test_its_commands_exist():
    words = set(re.findall(r"tfs-deploy ([a-z]+)\b", PAGE))
    assert words
    assert words <= set(COMMANDS)


def test_its_keys_exist():
    keys = {key for section in SECTIONS.values() for key in section.model_fields}
    named = set(re.findall(r"\bserver\.(?:docker\.)?([a-z_]+)", PAGE))
    assert named <= keys


def test_its_files_exist():
    assert all((ROOT / name).exists() for name in re.findall(r"`((?:docker|tests|\.ci)/[\w./]+)`", PAGE))


def test_its_figures_are_those_of_the_code():
    assert f"{_RAM_FOR_A_BYTE} bytes for each byte" in PAGE
