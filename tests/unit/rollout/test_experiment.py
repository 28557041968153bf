# SPDX-License-Identifier: Apache-2.0
"""Confidence intervals of an experiment."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.rollout import WindowSummary
from tfs_deploy.rollout.experiment import compare_arms, mean, share
from tfs_deploy.rollout.gates.request_stats import Spread

Z = 1.959963984540054


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (20, 400, 0.0326, 0.0760)],
)
def test_wilsons_interval_as_in_the_textbook(hits, count, low, high):
    found = share(hits, count, Z)

    assert (found.value, found.low, found.high) == (
        hits / count,
        pytest.approx(low, abs=1e-4),
        pytest.approx(high, abs=1e-4),
    )


@pytest.mark.parametrize(("count", "t"), [(4, 3.182), (6, 2.571), (11, 2.228), (31, 2.042), (1001, 1.962)])
def test_a_mean_has_students_interval(count, t):
    found = mean(Spread(count, 10.0, 2.0), Z)

    assert found.high - 10.0 == pytest.approx(t * 2.0 / count**0.5, rel=0.02)
    assert 10.0 - found.low == pytest.approx(found.high - 10.0)


def window(chance: random.Random, rate: float, latency: float, conversion: float, count: int = 2000) -> WindowSummary:
    errors = sum(chance.random() < rate for _ in range(count))
    times = [chance.gauss(latency, latency / 5) for _ in range(count - errors)]
    return WindowSummary.of(times, errors, [float(chance.random() < conversion) for _ in range(count)])


def test_a_real_difference_is_significant_and_chance_is_not():
    chance = random.Random(1)
    windows = {"stable": window(chance, 0.01, 0.010, 0.10), "canary": window(chance, 0.05, 0.012, 0.10)}

    stable, canary = compare_arms(windows, "stable")

    assert (stable.label, stable.error_change, stable.outcome_change) == ("stable", None, None)
    assert canary.error_change.low > 0
    assert canary.latency_change.low > 0
    assert canary.latency_change.value == pytest.approx(0.002, rel=0.2)
    assert canary.outcome_change.low < 0 < canary.outcome_change.high
    assert canary.outcomes == 2000


def test_intervals_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(300):
        chance = random.Random(seed)
        arms = compare_arms(
            {"stable": window(chance, 0.0, 0.01, 0.3, 200), "canary": window(chance, 0.0, 0.01, 0.4, 200)}, "stable"
        )
        held += arms[1].outcome_change.low <= 0.1 <= arms[1].outcome_change.high

    assert 0.92 <= held / 300 <= 0.98


def test_without_numbers_there_is_nothing_to_estimate():
    assert compare_arms({}, "stable") == []
    (arm,) = compare_arms({"canary": WindowSummary()}, "stable")
    assert (arm.errors, arm.latency, arm.outcome, arm.error_change) == (None, None, None, None)


@given(st.integers(0, 200), st.integers(1, 200))
def test_a_share_is_within_its_interval_and_that_within_0_and_1(hits, more):
    found = share(hits, hits + more, Z)

    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
