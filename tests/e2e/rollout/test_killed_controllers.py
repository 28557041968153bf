"""A controller killed at each entry of its journal, on the embedded server and under load, and then resumed."""

from __future__ import annotations

import random

import pytest

import rolling
from tfs_deploy.rollout.begin import latest_rollout


def test_a_controller_killed_at_some_entries(zoo):
    rolling.controllers_killed_at(zoo, random.Random(7).sample(rolling.POSITIONS, 3))


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_controller_killed_at_every_entry(zoo):
    rolling.controllers_killed_at(zoo, rolling.POSITIONS)


def test_a_rollback_killed_at_some_entries_goes_on_and_never_back(zoo):
    rolling.rollbacks_killed_at(zoo, [*random.Random(5).sample(rolling.BACK_POSITIONS, 1), ("after", 14)])


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_rollback_killed_at_every_entry_goes_on_and_never_back(zoo):
    rolling.rollbacks_killed_at(zoo, rolling.BACK_POSITIONS)


def test_the_entries_of_a_whole_rollout_are_as_many_as_are_tried(zoo, cli):
    done = cli("rollout", "start", zoo.file, "--to", 2, *rolling.STEPS)
    assert done.returncode == 0, done.stderr
    assert len(latest_rollout(zoo.state_dir, "zoo").events) == rolling.ENTRIES
