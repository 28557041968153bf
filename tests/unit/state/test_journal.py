# SPDX-License-Identifier: Apache-2.0
"""The file of a journal: every entry whole or not there."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.journal import (
    RESERVE,
    JournalFile,
    UnfinishedRollout,
    journals,
    models_with_journals,
    unfinished_rollout,
)

START = {"kind": "start"}
LOAD = {"kind": "intend", "action": "load"}


def kinds(journal: JournalFile) -> list[str]:
    return journal.entries(lambda entry: entry["kind"])


@pytest.mark.parametrize("rest", [b'{"kind": "outc', b"\x00\x00\x00", b'{"kind": "outcome", "ok": true}'])
def test_half_a_line_of_a_killed_process_is_dropped(tmp_path, rest):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    with journal.path.open("ab") as file:
        file.write(rest)

    assert len(kinds(journal)) == 1
    journal.append_entry(LOAD)
    assert kinds(journal) == ["start", "intend"]


def test_each_rollout_has_its_own_file_and_the_highest_number_is_the_last(tmp_path):
    for _ in range(11):
        JournalFile.create(tmp_path, "digits").append_entry(START)

    assert [path.name for path in journals(tmp_path, "digits")][-2:] == ["0010.jsonl", "0011.jsonl"]


def test_a_model_name_may_hold_what_a_file_name_may_not(tmp_path):
    JournalFile.create(tmp_path, "a/b..c").append_entry(START)

    assert models_with_journals(tmp_path) == ["a/b..c"]
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1


def test_a_damaged_journal_says_what_to_do(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    journal.path.write_bytes(b"not json\n" + journal.path.read_bytes())

    with pytest.raises(EnvironmentFault, match="is damaged") as caught:
        kinds(journal)
    assert "move it away and start over" in (caught.value.hint or "")


def test_a_full_disk_leaves_the_entries_that_were_there(tmp_path, monkeypatch):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        journal.append_entry(LOAD)
    monkeypatch.undo()

    assert kinds(journal) == ["start"]
    assert journal.path.read_bytes().endswith(b"\n")


class FullDisk:
    """fsync fails while the reserve takes up the room."""

    def __init__(self, monkeypatch, reserve) -> None:
        self._sync = os.fsync
        self._reserve = reserve
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, descriptor: int) -> None:
        if self._reserve.exists():
            raise OSError(28, "No space left on device")
        self._sync(descriptor)


def test_the_reserve_is_given_up_for_an_entry_that_has_no_room(tmp_path, monkeypatch):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    reserve = journal.path.with_name("reserve")
    with journal.reserving():
        assert reserve.stat().st_size == RESERVE
        FullDisk(monkeypatch, reserve)
        journal.append_entry(LOAD)

    assert journal.starved.endswith("No space left on device")
    assert kinds(journal) == ["start", "intend"]
    assert not reserve.exists()


def test_room_is_made_for_other_files_too_but_only_on_a_full_disk(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    with journal.reserving():
        assert not journal.make_room(OSError(13, "Permission denied"))
        assert not journal.make_room(None)
        assert journal.starved == ""
        assert journal.make_room(OSError(28, "No space left on device"))
        assert not journal.make_room(OSError(28, "No space left on device"))


def test_nothing_is_left_of_the_reserve(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    with pytest.raises(ZeroDivisionError), journal.reserving():
        raise ZeroDivisionError
    assert list(journal.path.parent.iterdir()) == []


def test_a_rollout_is_unfinished_until_it_ends(tmp_path):
    def entry(kind: str, **detail: object) -> None:
        journal.append_entry({"kind": kind, "detail": detail})

    assert unfinished_rollout(tmp_path, "digits") is None
    journal = JournalFile.create(tmp_path, "digits")
    entry("note")
    assert unfinished_rollout(tmp_path, "digits") == UnfinishedRollout("digits", 0, 0)
    journal = JournalFile.create(tmp_path, "digits")
    entry("start", plan={"old": 1, "new": 2})
    assert str(unfinished_rollout(tmp_path, "digits")) == "the rollout of digits from version 1 to 2 is unfinished"
    entry("finish", status="paused", reason="all steps passed")
    assert "is unfinished (paused: all steps passed)" in str(unfinished_rollout(tmp_path, "digits"))
    entry("resume")
    assert unfinished_rollout(tmp_path, "digits").paused == ""
    entry("finish", status="rolled back", reason="an abort was requested")
    assert unfinished_rollout(tmp_path, "digits") is None


def test_a_journal_that_could_not_begin_has_nothing_to_resume(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    journal = JournalFile.create(tmp_path, "digits")
    monkeypatch.setattr(JournalFile, "_write_or_make_room", full)
    with pytest.raises(EnvironmentFault, match="No space left") as caught:
        journal.append_entry(START)
    assert caught.value.hint == "make room or grant access, then: run the command again; nothing was changed"
    monkeypatch.undo()
    journal.append_entry(START)
    monkeypatch.setattr(JournalFile, "_write_or_make_room", full)
    with pytest.raises(EnvironmentFault) as caught:
        journal.append_entry(LOAD)
    assert "tfs-deploy rollout resume" in caught.value.hint


def test_half_a_line_that_is_longer_than_the_next_one_leaves_nothing(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    with journal.path.open("ab") as file:
        file.write(b'{"kind": "' + b"x" * 1000)
    JournalFile(journal.path).append_entry(LOAD)
    assert b"xx" not in journal.path.read_bytes()
    assert kinds(journal) == ["start", "intend"]


def test_lines_of_another_process_are_followed(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    JournalFile(journal.path).append_entry(LOAD)
    journal.append_entry({"kind": "note"})
    assert kinds(journal) == ["start", "intend", "note"]


def test_a_disk_that_fails_once_is_not_tried_again(tmp_path, monkeypatch):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    sync, failures = os.fsync, [5]

    def fail_once(descriptor: int) -> None:
        if failures:
            raise OSError(failures.pop(), "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_once)
    with journal.reserving(), pytest.raises(EnvironmentFault, match="Input/output error"):
        journal.append_entry(LOAD)
    assert kinds(journal) == ["start"]


def test_what_cannot_be_read_or_is_not_what_a_rollout_wrote_is_told(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry(START)
    with pytest.raises(EnvironmentFault, match="is damaged"):
        journal.entries(lambda entry: entry["nothing"])
    folder = tmp_path / "0001.jsonl"
    folder.mkdir()
    with pytest.raises(EnvironmentFault, match="Is a directory"):
        JournalFile(folder).entries(dict)


def test_a_journal_without_an_entry_is_passed_over(tmp_path):
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry({"kind": "start", "detail": {"plan": {"old": 1, "new": 2}}})
    JournalFile.create(tmp_path, "digits").path.touch()
    assert unfinished_rollout(tmp_path, "digits") == UnfinishedRollout("digits", 1, 2)


def test_the_reserve_is_a_quarter_of_a_mib():
    assert RESERVE == 256 * 1024
