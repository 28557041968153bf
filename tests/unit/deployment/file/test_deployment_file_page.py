# SPDX-License-Identifier: Apache-2.0
"""docs/deployment-file.md: up to date, whole, and right about what is required and what the defaults are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.schema import SECTIONS

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs/deployment-file.md").read_text()


def cells(path: tuple[str, ...], key: str) -> list[str]:
    """Return the example, the default and the meaning of a key."""
    title = ".".join(path) if path else "The file"
    section = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    (line,) = [line for line in section.splitlines() if line.startswith(f"| `{key}` |")]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[2:-1]]


def test_it_is_up_to_date():
    result = subprocess.run(
        [sys.executable, ROOT / "scripts/make_reference", "--check"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_its_smallest_file_loads(tmp_path):
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "digits.yaml").write_text(block)
    assert load_deployment(tmp_path / "digits.yaml").models[0].name == "digits"


@pytest.mark.parametrize("path", [path for path in SECTIONS if path != ("models", "versions")], ids=".".join)
def test_every_key_has_its_row(path):
    for key, known in SECTIONS[path].model_fields.items():
        example, default, meaning = cells(path, key)
        assert len(meaning) > 10, key
        assert example.startswith(("`", "[section](#")), key
        assert (default == "required") == known.is_required(), key
        if isinstance(known.default, (bool, int, str)):
            assert default == str(known.default).lower(), key
        elif isinstance(known.default, BaseModel):
            assert default in ("its defaults", "`latest`"), key


def test_its_links_lead_to_sections():
    headings = {re.sub(r"[^\w-]", "", title.lower()) for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    links = set(re.findall(r"\(#([\w-]+)\)", PAGE))
    assert links
    assert links <= headings
