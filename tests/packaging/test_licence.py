# SPDX-License-Identifier: Apache-2.0
"""Every Python and shell file says under which licence it is; who gets the program gets the licence."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".ci", "configs", "docker", "docs", "scripts", "tests", "tfs_deploy")
HEADER = "# SPDX-License-Identifier: Apache-2.0"


def is_program(path: Path) -> bool:
    """Python or shell, by its ending or by its first line."""
    if path.suffix in ("", ".py", ".sh") and path.is_file() and "__pycache__" not in path.parts:
        return bool(path.suffix) or path.read_bytes()[:2] == b"#!"
    return False


def test_every_program_begins_with_its_licence():
    programs = [path for path in chain(*((ROOT / folder).rglob("*") for folder in FOLDERS)) if is_program(path)]
    assert len(programs) > 1000
    lacking = []
    for path in programs:
        with path.open(encoding="utf-8") as file:
            first = next(file, "")
            header = next(file, "") if first.startswith("#!") else first
        if header.rstrip("\n") != HEADER:
            lacking.append(str(path.relative_to(ROOT)))
    assert lacking == [], f"the first line, or the one behind #!, has to be {HEADER}"


def test_images_get_what_the_build_and_the_licence_ask_for():
    named = re.search(r"^license-files = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert named is not None
    files = {"README.md", *re.findall(r'"(.+?)"', named[1])}
    copied = re.findall(r"^COPY (.+) /src/$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)
    assert files <= set(" ".join(copied).split())
