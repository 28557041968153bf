# SPDX-License-Identifier: Apache-2.0
"""docs/storage.md: its commands run, from top to bottom, against a store and a registry."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from support.code_blocks import ROOT, blocks_of
from tfs_deploy.cli.main import run

if TYPE_CHECKING:
    from support.object_stores import Store


def test_the_commands_of_the_page_run(seaweedfs: Store, images: Store, version, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in (block for block in blocks_of(ROOT / "docs/storage.md") if not block.reason):
        if block.kind == "yaml":
            (tmp_path / "digits.yaml").write_text(block.text)
        text = block.text.replace("localhost:5000", f"localhost:{images.port}")
        for line in text.splitlines() if block.kind == "sh" else ():
            if line.startswith("export "):
                assert {word.partition("=")[0] for word in shlex.split(line)[1:]} == seaweedfs.environment.keys()
                for key, value in seaweedfs.environment.items():
                    monkeypatch.setenv(key, value)
            else:
                assert run(shlex.split(line)[1:]) == 0, line
    assert (tmp_path / "models/digits/1/saved_model.pb").exists()
    assert (tmp_path / "models/digits/2").exists()
    assert (tmp_path / "pulled/digits/1/saved_model.pb").exists()
