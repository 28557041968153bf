# SPDX-License-Identifier: Apache-2.0
"""The journal: every entry whole or not there."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.rollout.controller.journal import Journal, replay
from tfs_deploy.rollout.machine.history import Event, elapsed
from tfs_deploy.rollout.machine.plan import RolloutPlan

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


def test_a_journal_without_beginning_is_refused():
    with pytest.raises(EnvironmentFault, match="lacks its first entry"):
        replay([LOAD])


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
