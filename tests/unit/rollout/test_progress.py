# SPDX-License-Identifier: Apache-2.0
"""How a rollout stands while it waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tfs_deploy.cli.shared.progress import progress_text
from tfs_deploy.rollout import RequestStats
from tfs_deploy.rollout.gates.request_stats import RequestCount
from tfs_deploy.rollout.machine.actions import Finish, Wait
from tfs_deploy.rollout.progress import ProgressWatch, RolloutProgress


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (RolloutProgress("version 2 is LOADING"), "version 2 is LOADING"),
        (RolloutProgress("", 1, 3, 5.0, left=12.4), "step 1 of 3, 5 %: no request yet; 12 s left"),
        (
            RolloutProgress("", 2, 3, 50.0, RequestCount(600, 2), RequestCount(601), 0.0),
            "step 2 of 3, 50 %: canary 600 requests, 2 failed; all 1,201, 2 failed; waiting for samples",
        ),
    ],
)
def test_progress_is_one_line(progress, text):
    assert progress_text(progress) == text


def test_a_step_counts_its_own_requests_and_the_time_that_is_left(simulated):
    sim = simulated.Simulation(steps=(50.0, 100.0), bake=4.0)
    stats = RequestStats(clock=sim.clock.monotonic)
    sim.world = replace(sim.world, requests=stats)
    sim.start()
    watch, seen = ProgressWatch(sim.controller), []
    while not isinstance(action := sim.tick(), Finish):
        stats.record("canary", 0.001, error=True)
        stats.record("stable", 0.001)
        if isinstance(action, Wait):
            seen.append(watch.of(action))

    loading = [progress for progress in seen if progress.left is None]
    first = [progress for progress in seen if progress.left is not None and progress.step == 1]
    assert loading[0].why.startswith("version 2 is ")
    assert [progress.left for progress in first] == sorted((progress.left for progress in first), reverse=True)
    assert first[-1].left < 1.0
    assert first[0].canary.requests < first[-1].canary.requests == first[-1].canary.errors
    assert first[-1].others.errors == 0
    assert max(progress.step for progress in seen if progress.left is not None) == 2
