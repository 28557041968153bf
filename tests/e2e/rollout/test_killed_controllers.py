# SPDX-License-Identifier: Apache-2.0
"""A controller killed at each entry of its journal, on the embedded server and under load, and then resumed."""

from __future__ import annotations

import random

import pytest

from support import rollout_scenarios
from tfs_deploy.rollout.begin import latest_rollout


def test_a_controller_killed_at_some_entries(zoo):
    rollout_scenarios.controllers_killed_at(zoo, random.Random(7).sample(rollout_scenarios.POSITIONS, 3))


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_controller_killed_at_every_entry(zoo):
    rollout_scenarios.controllers_killed_at(zoo, rollout_scenarios.POSITIONS)


def test_a_rollback_killed_at_some_entries_goes_on_and_never_back(zoo):
    rollout_scenarios.rollbacks_killed_at(
        zoo, [*random.Random(5).sample(rollout_scenarios.BACK_POSITIONS, 1), ("after", 14)]
    )


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_rollback_killed_at_every_entry_goes_on_and_never_back(zoo):
    rollout_scenarios.rollbacks_killed_at(zoo, rollout_scenarios.BACK_POSITIONS)


def test_the_entries_of_a_whole_rollout_are_as_many_as_are_tried(zoo, cli, consumers):
    with consumers(zoo, 1, pause=0.005):
        done = cli("rollout", "start", zoo.file, "--to", 2, *rollout_scenarios.STEPS)
    assert done.returncode == 0, done.stderr
    assert len(latest_rollout(zoo.state_dir, "zoo").events) == rollout_scenarios.ENTRIES
