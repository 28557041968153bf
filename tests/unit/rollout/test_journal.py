"""The journal: every entry whole or not there."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.rollout.controller.journal import Journal, replay
from tfs_deploy.rollout.machine.history import Event, elapsed
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.state.journal import RESERVE, journals, models_with_journals

START = Event("start", detail={"plan": RolloutPlan("digits", 1, 2).as_dict()}, at=1_700_000_000.5)
LOAD = Event("intend", "load", detail={"versions": [1, 2]}, at=1_700_000_001.0)


def test_entries_come_back_in_order(tmp_path):
    journal = Journal.create(tmp_path, "digits")
    journal.append(START)
    journal.append(LOAD)

    events = journal.read(mono=7.0)

    assert [event.kind for event in events] == ["start", "intend"]
    assert events[0].at == START.at
    assert {event.mono for event in events} == {7.0}
    plan, history = replay(events)
    assert plan == RolloutPlan("digits", 1, 2)
    assert history.touched


@pytest.mark.parametrize("rest", [b'{"kind": "outc', b"\x00\x00\x00", b'{"kind": "outcome", "ok": true}'])
def test_half_a_line_of_a_killed_process_is_dropped(tmp_path, rest):
    journal = Journal.create(tmp_path, "digits")
    journal.append(START)
    with journal.path.open("ab") as file:
        file.write(rest)

    assert len(journal.read()) == 1
    journal.append(LOAD)
    assert [event.kind for event in journal.read()] == ["start", "intend"]


def test_each_rollout_has_its_own_file_and_the_highest_number_is_the_last(tmp_path):
    for _ in range(11):
        Journal.create(tmp_path, "digits").append(START)

    assert [path.name for path in journals(tmp_path, "digits")][-2:] == ["0010.jsonl", "0011.jsonl"]


def test_a_model_name_may_hold_what_a_file_name_may_not(tmp_path):
    Journal.create(tmp_path, "a/b..c").append(START)

    assert models_with_journals(tmp_path) == ["a/b..c"]
    assert len(list(tmp_path.rglob("*.jsonl"))) == 1


def test_a_damaged_journal_says_what_to_do(tmp_path):
    journal = Journal.create(tmp_path, "digits")
    journal.append(START)
    journal.path.write_bytes(b"not json\n" + journal.path.read_bytes())

    with pytest.raises(EnvironmentFault, match="is damaged") as caught:
        journal.read()
    assert "move the file away" in (caught.value.hint or "")


def test_a_journal_without_beginning_is_refused():
    with pytest.raises(EnvironmentFault, match="no beginning"):
        replay([LOAD])


def test_a_full_disk_leaves_the_entries_that_were_there(tmp_path, monkeypatch):
    journal = Journal.create(tmp_path, "digits")
    journal.append(START)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left on device"):
        journal.append(LOAD)
    monkeypatch.undo()

    assert [event.kind for event in journal.read()] == ["start"]
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
    journal = Journal.create(tmp_path, "digits")
    journal.append(START)
    reserve = journal.path.with_name("reserve")
    with journal.reserving():
        assert reserve.stat().st_size == RESERVE
        FullDisk(monkeypatch, reserve)
        journal.append(LOAD)

    assert journal.starved.endswith("No space left on device")
    assert [event.kind for event in journal.read()] == ["start", "intend"]
    assert not reserve.exists()


def test_room_is_made_for_other_files_too_but_only_on_a_full_disk(tmp_path):
    journal = Journal.create(tmp_path, "digits")
    with journal.reserving():
        assert not journal.make_room(OSError(13, "Permission denied"))
        assert not journal.make_room(None)
        assert journal.starved == ""
        assert journal.make_room(OSError(28, "No space left on device"))
        assert not journal.make_room(OSError(28, "No space left on device"))


def test_nothing_is_left_of_the_reserve(tmp_path):
    journal = Journal.create(tmp_path, "digits")
    with pytest.raises(ZeroDivisionError), journal.reserving():
        raise ZeroDivisionError
    assert list(journal.path.parent.iterdir()) == []


def entry(kind: str, at: float, uptime: float | None, boot: str = "") -> Event:
    return Event(kind, at=at, uptime=uptime, detail={"boot": boot} if boot else {})


@pytest.mark.parametrize(
    ("events", "times"),
    [
        ([], []),
        # the wall clock jumps back an hour, then forward two
        ([entry("start", 1e6, 5.0, "a"), entry("note", 1e6 - 3600, 6.0), entry("note", 1e6 + 3600, 9.0)], [0, 1, 4]),
        # another boot: only the wall clock tells
        (
            [entry("start", 1e6, 500.0, "a"), entry("resume", 1e6 + 60, 20.0, "b"), entry("note", 0, 21.5)],
            [0, 60, 61.5],
        ),
        ([entry("start", 1e6, 5.0, "a"), entry("resume", 1e6 - 60, 7.0, "b")], [0, 0]),
        # taken up again within the same boot
        ([entry("start", 1e6, 5.0, "a"), entry("resume", 1e6 - 60, 7.0, "a")], [0, 2]),
        # entries of a program that did not write it
        ([entry("start", 1e6, None), entry("note", 1e6 + 2, None), entry("note", 1e6 + 1, None)], [0, 2, 2]),
    ],
)
def test_how_long_a_rollout_took_does_not_depend_on_the_wall_clock(events, times):
    assert elapsed(events) == times


def test_entries_keep_the_monotonic_time_of_their_writer(tmp_path):
    journal = Journal.create(tmp_path, "digits")
    journal.append(Event("start", detail=START.detail, at=1.0, mono=1234.5678))

    assert [(event.mono, event.uptime) for event in journal.read(mono=7.0)] == [(7.0, 1234.568)]
