# SPDX-License-Identifier: Apache-2.0
"""Rollouts on a server in a container of a real engine: under load, bad candidates, dead servers, killed controllers.

What happens to them is what happens to rollouts on the embedded server: see ``support.rollout_scenarios``.
"""

from __future__ import annotations

import random

import pytest

from support import rollout_scenarios

pytestmark = pytest.mark.docker
SAMPLE = random.Random(11)
SHORT = {
    "kinds": SAMPLE.sample(["no_load", "renamed", "wrong"], 1),
    "phases": SAMPLE.sample(list(rollout_scenarios.PHASES), 1),
    "positions": SAMPLE.sample(rollout_scenarios.POSITIONS, 1),
}


def long_form(cases, short):
    """Mark all but a seeded sample as long form."""
    return [case if case in short else pytest.param(case, marks=pytest.mark.full) for case in cases]


def test_a_rollout_and_a_rollback_under_load_fail_no_request(zoo):
    rollout_scenarios.a_rollout_and_a_rollback_under_load(zoo)


@pytest.mark.parametrize("kind", long_form(rollout_scenarios.BAD, SHORT["kinds"]))
def test_a_bad_candidate_is_stopped_by_the_gate_for_it(bakery, kind, tmp_path):
    rollout_scenarios.a_bad_candidate_is_stopped(bakery, kind, tmp_path)


def test_a_candidate_that_ends_the_server_is_out_and_the_outage_is_told(bakery):
    rollout_scenarios.a_candidate_that_ends_the_server(bakery)


@pytest.mark.parametrize("phase", long_form(rollout_scenarios.PHASES, SHORT["phases"]))
def test_a_server_that_dies_in_a_phase_and_is_started_again_by_the_engine(zoo, phase):
    rollout_scenarios.a_server_that_dies_in(zoo, phase)


@pytest.mark.full
@pytest.mark.parametrize("phase", rollout_scenarios.PHASES)
def test_a_server_that_dies_in_a_phase_and_stays_dead(zoo_that_stays_dead, phase):
    rollout_scenarios.a_server_that_dies_in(zoo_that_stays_dead, phase)


@pytest.mark.full
def test_a_server_that_dies_on_the_way_back(zoo):
    rollout_scenarios.a_server_that_dies_on_the_way_back(zoo)


def test_a_controller_killed_at_an_entry(zoo):
    rollout_scenarios.controllers_killed_at(zoo, SHORT["positions"])


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_controller_killed_at_every_entry(zoo):
    rollout_scenarios.controllers_killed_at(zoo, rollout_scenarios.POSITIONS)


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_rollback_killed_at_every_entry_goes_on_and_never_back(zoo):
    rollout_scenarios.rollbacks_killed_at(zoo, rollout_scenarios.BACK_POSITIONS)


@pytest.mark.full
def test_records_that_are_damaged_on_the_way_back_are_mended(zoo):
    rollout_scenarios.records_that_are_damaged_on_the_way_back(zoo)


@pytest.mark.full
def test_a_traffic_file_that_is_deleted_or_damaged_is_written_again_and_no_request_fails(zoo):
    rollout_scenarios.a_traffic_file_that_is_deleted_and_damaged(zoo)


@pytest.mark.full
def test_of_controllers_that_start_together_one_works_and_the_others_name_it(zoo):
    rollout_scenarios.controllers_that_start_together(zoo)


@pytest.mark.full
def test_a_wall_clock_that_jumps_back_an_hour_changes_nothing(zoo):
    rollout_scenarios.a_wall_clock_that_jumps_back_an_hour(zoo)
