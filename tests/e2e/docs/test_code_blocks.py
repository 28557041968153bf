# SPDX-License-Identifier: Apache-2.0
"""Every code block of every page is run by a test that is there, or its page says why not."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from support.code_blocks import PAGES, ROOT, RUN_BY, all_blocks, blocks_of
from tfs_deploy.deployment.file import load_deployment

BLOCKS = all_blocks()


def test_it_is_known_what_becomes_of_every_block():
    unknown = [f"{block.page}:{block.line} {block.kind}" for block in BLOCKS if block.outcome is None]
    assert not unknown, "name the test in RUN_BY, or write <!-- not run: REASON --> before the block"
    assert len(BLOCKS) > 100


@pytest.mark.parametrize("page", sorted({page for page, _ in RUN_BY} - {"*"}))
def test_the_test_that_runs_a_page_reads_it(page):
    for (name, kind), test in RUN_BY.items():
        if name == page:
            assert page.rpartition("/")[2] in (ROOT / test).read_text(), test
            assert any(block.page == page and block.kind == kind for block in BLOCKS), kind


def test_a_block_that_nothing_is_known_of_is_found(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    monkeypatch.setattr("support.code_blocks.ROOT", tmp_path)
    page.write_text(
        "# T\n\n```sh\ntfs-deploy up x\n```\n\n<!-- not run: y -->\n```sh\nls\n```\n\n    tfs-deploy down x\n"
    )

    assert [(block.kind, block.outcome) for block in blocks_of(page)] == [
        ("sh", None),
        ("sh", "not run: y"),
        ("indented", None),
    ]


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind in ("yaml", "json")], ids=lambda block: f"{block.page}:{block.line}"
)
def test_yaml_and_json(block, tmp_path):
    """They parse; a deployment file is valid, and a section of one is valid beside a model."""
    if block.kind == "json":
        json.loads(block.text)
        return
    document = yaml.safe_load(block.text)
    if not set(document) & {"models", "server"}:
        return
    document.setdefault("name", "digits")
    document.setdefault("models", [{"name": "digits", "base_path": "models/digits"}])
    file = tmp_path / "digits.yaml"
    file.write_text(yaml.safe_dump(document))
    assert load_deployment(file).name == document["name"]


@pytest.mark.parametrize(
    "block", [b for b in BLOCKS if b.kind == "python"], ids=lambda block: f"{block.page}:{block.line}"
)
def test_python_is_valid(block):
    compile(block.text, block.page, "exec")


def test_every_page_is_looked_at():
    pages = {path.relative_to(ROOT).as_posix() for path in PAGES}
    assert {"README.md", "docs/tutorial.md", "docs/coming-from/triton.md", "docs/reference/errors.md"} <= pages
    fences = sum(len(re.findall(r"^ *```\w", path.read_text(), re.MULTILINE)) for path in PAGES)
    assert sum(block.kind != "indented" for block in BLOCKS) >= fences
