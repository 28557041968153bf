# SPDX-License-Identifier: Apache-2.0
"""``logs --follow`` prints a line at a time, with --json a document each."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tfs_deploy.cli.main import run


@pytest.fixture
def running(tmp_path, monkeypatch):
    """The path of a deployment file, whose server is one that writes two lines and ends."""
    server = SimpleNamespace(follow=lambda: iter(["three\nfour"]))
    host = SimpleNamespace(log=lambda _count: ["one", "two"], current=lambda: server)
    monkeypatch.setattr("tfs_deploy.launch.targets.target_of", lambda _deployment: host)
    path = tmp_path / "shop.yaml"
    path.write_text("name: shop\nmodels: [{name: half, base_path: models}]\n")
    return str(path)


def test_a_line_at_a_time(running, capsys):
    assert run(["logs", running, "--follow"]) == 0
    assert capsys.readouterr().out.splitlines() == ["one", "two", "three", "four"]
    assert run(["logs", running]) == 0
    assert capsys.readouterr().out.splitlines() == ["one", "two"]


def test_a_document_at_a_time(running, capsys):
    assert run(["logs", running, "-f", "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line) for line in lines] == [{"line": word} for word in ("one", "two", "three", "four")]
