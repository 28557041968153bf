# SPDX-License-Identifier: Apache-2.0
"""The least times of a plan."""

from __future__ import annotations

import pytest

from tfs_deploy.rollout import Plan
from tfs_deploy.rollout.machine.timing import timing


def test_the_times_of_a_plan():
    found = timing(Plan("digits", 1, 2, steps=(5.0, 100.0), bake=300.0, check_every=5.0, keep_warm=60.0))

    assert [entry.phase for entry in found.phases] == [
        *("preflight", "load", "smoke", "label", "step", "step", "promote", "settle", "retire"),
    ]
    assert found.promote == pytest.approx(600.2)
    assert found.done == pytest.approx(660.3)
    assert found.notice == 5.0
    assert found.back < 1.0


def test_the_times_of_other_strategies():
    assert timing(Plan("digits", 1, 2, steps=())).promote < 1.0
    shadow = timing(Plan("digits", 1, 2, strategy="shadow", steps=(10.0,)))
    assert shadow.phases[4].what == "copies of 10 % of the requests to canary, then the gates"
    assert "approval" in [entry.phase for entry in timing(Plan("digits", 1, 2, strategy="ab", steps=(50.0,))).phases]
    assert timing(Plan("digits", 1, 2, fail_after=3)).notice == 15.0
