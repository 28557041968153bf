# SPDX-License-Identifier: Apache-2.0
"""What has been written is still there after a crash of the machine: see ``support.crash_model``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.crash_model import crash_model
from tfs_deploy.atomic import write_atomic, write_files
from tfs_deploy.state.journal import JournalFile
from tfs_deploy.store.publish import stage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_file_that_was_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a" / "b" / "active.json"
    with crash_model(monkeypatch) as model:
        write_atomic(path, "{}")
        assert model.lost(path, below=tmp_path) == []


def test_files_that_were_replaced_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").write_text("old")
    with crash_model(monkeypatch) as model:
        for path in write_files(tmp_path, {"one": "1", "two": "2"}):
            assert model.lost(path, below=tmp_path) == []


def test_the_entries_of_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with crash_model(monkeypatch) as model:
        journal = JournalFile.create(tmp_path / "state", "digits")
        journal.append_entry({"kind": "start"})
        assert model.lost(journal.path, below=tmp_path) == []


def test_each_entry_of_a_journal_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry({"kind": "start"})
    with crash_model(monkeypatch) as model:
        assert model.lost(journal.path, below=journal.path.parent) != []
        journal.append_entry({"kind": "note"})
        assert "the bytes of 0001.jsonl" not in model.lost(journal.path, below=journal.path.parent)


def test_every_file_of_a_published_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "models" / "digits"
    with crash_model(monkeypatch) as model:
        with stage(base) as staged:
            (staged.path / "variables").mkdir()
            for name in ("saved_model.pb", "variables/variables.index"):
                (staged.path / name).write_bytes(b"x")
            version = staged.publish(None)
        for path in (version.path, *version.path.rglob("*")):
            assert model.lost(path, below=tmp_path) == []
