# SPDX-License-Identifier: Apache-2.0
"""A journal that was changed after it was written is never taken for another one."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.journal import JournalFile
from tfs_deploy.state.sealed_lines import START, DamagedLineError, follow, read_lines, seal

HERE = Path(__file__).parent
#: ten journals of rollouts: of this release, and of one before there were seals
RECORDED = sorted([*HERE.glob("journals/*.jsonl"), *HERE.parent.glob("rollout/controller/recorded/*.jsonl")])
FULL = bool(os.environ.get("TFS_DEPLOY_FULL"))


def sealed(entries: list[Any]) -> bytes:
    data, chain = b"", START
    for entry in entries:
        line = seal(entry, chain)
        data, chain = data + line, follow(chain, line)
    return data


def entries_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(data: bytes) -> list[Any] | None:
    """Return the entries, ``None`` if the damage is named; every other exception fails the test."""
    try:
        return read_lines(data, "a journal").documents
    except (DamagedLineError, EnvironmentFault):
        return None


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_journal_with_one_byte_changed_is_not_another_journal(path: Path) -> None:
    entries = entries_of(path)
    data = sealed(entries)
    assert read(data) == entries
    draw = random.Random(17)
    places = range(len(data))
    for place in places if FULL else draw.sample(places, 150):
        changed = bytearray(data)
        changed[place] ^= draw.randrange(1, 256)
        assert read(bytes(changed)) is None, (place, data[place], changed[place])


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_journal_cut_off_anywhere_has_its_whole_lines(path: Path) -> None:
    entries = entries_of(path)
    data = sealed(entries)
    for size in range(0, len(data) + 1, 1 if FULL else 97):
        assert read(data[:size]) == entries[: data.count(b"\n", 0, size)]


def test_lines_that_are_missing_repeated_or_swapped_are_damage() -> None:
    lines = sealed([{"kind": "start"}, {"kind": "a"}, {"kind": "b"}]).splitlines(keepends=True)
    for order in ((1, 2), (0, 2), (0, 0, 1, 2), (0, 2, 1), (2,), (0, 1, 1, 2)):
        with pytest.raises(DamagedLineError, match="does not follow the lines before it"):
            read_lines(b"".join(lines[index] for index in order), "a journal")


def test_the_end_of_the_only_line_counts_too() -> None:
    data = sealed([{"kind": "start"}])
    with pytest.raises(DamagedLineError, match="the end of line 1 was changed"):
        read_lines(data[:-1] + b"x", "a journal")
    assert read(data[:-1]) == []  # half a line


def test_a_line_without_a_seal_among_sealed_ones_is_damage() -> None:
    data = sealed([{"kind": "start"}]) + b'{"kind": "promoted"}\n'
    with pytest.raises(DamagedLineError, match="line 2 does not follow"):
        read_lines(data, "a journal")


def test_a_journal_of_an_earlier_release_is_read_and_sealed_from_then_on(tmp_path: Path) -> None:
    journal = JournalFile.create(tmp_path, "digits")
    journal.path.parent.mkdir(parents=True)
    journal.path.write_bytes(RECORDED[0].read_bytes())
    before = entries_of(RECORDED[0])
    journal.append_entry({"kind": "note"})
    JournalFile(journal.path).append_entry({"kind": "end"})

    data = journal.path.read_bytes()
    assert read(data) == [*before, {"kind": "note"}, {"kind": "end"}]
    assert read(data.replace(b"kind", b"kynd", 1)) is None


def test_what_is_damaged_is_not_written_over(tmp_path: Path) -> None:
    journal = JournalFile.create(tmp_path, "digits")
    journal.append_entry({"kind": "start", "needs_approval": True})
    damaged = journal.path.read_bytes().replace(b"true", b"null")
    journal.path.write_bytes(damaged)

    again = JournalFile(journal.path)
    for act in (lambda: again.append_entry({"kind": "note"}), lambda: again.entries(dict)):
        with pytest.raises(EnvironmentFault, match="line 1 was changed after it was written") as caught:
            act()
        assert "tfs-deploy status" in (caught.value.hint or "")
    assert journal.path.read_bytes() == damaged


def test_a_journal_is_readable_by_all_and_writable_by_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = JournalFile.create(tmp_path, "digits")
        journal.append_entry({"kind": "start"})
    finally:
        os.umask(before)
    assert journal.path.stat().st_mode & 0o777 == 0o644


def test_a_journal_of_a_later_release_is_not_read() -> None:
    with pytest.raises(EnvironmentFault, match="a journal has format 3, written by a later release"):
        read_lines(b'{"format": 3, "kind": "start"}\n', "a journal")


@pytest.mark.parametrize("rest", [b'{"kind": "a"} ', b'{"kind": "a", "format": 2, "length": 1} ', b"[1] ", b"\0"])
def test_what_is_behind_the_last_line_and_never_was_one_is_left_out(rest: bytes) -> None:
    data = sealed([{"kind": "start"}])
    lines = read_lines(data + rest, "a journal")
    assert lines.documents == [{"kind": "start"}]
    assert (lines.size, lines.chain) == (len(data), follow(START, data))


def test_a_line_names_its_entry_and_the_lines_before_it() -> None:
    line = seal({"kind": "start"}, START)
    assert json.loads(line) == {
        "kind": "start",
        "format": 2,
        "length": 17,
        "crc32c": json.loads(line)["crc32c"],
        "previous": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }


@pytest.mark.parametrize(("line", "message"), [(b"[1]\n", "line 1 is not an entry"), (b"{\n", "line 1 is not JSON")])
def test_what_a_line_has_to_be(line: bytes, message: str) -> None:
    with pytest.raises(DamagedLineError, match=message):
        read_lines(line, "a journal")
    with pytest.raises(DamagedLineError, match="line 1 is not an entry"):
        read_lines(b'{"format": "2"}\n', "a journal")
