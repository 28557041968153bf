# SPDX-License-Identifier: Apache-2.0
"""When a load test is possible, and when its windows agree."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.verify.groups.load_test import LoadSettings, is_settled, is_stable, require_measurable
from tfs_deploy.verify.measure.budgets import Budget
from tfs_deploy.verify.measure.load_generator import LoadWindow


@pytest.mark.parametrize(
    ("text", "baseline", "own_server", "message"),
    [
        ("p99 < 2x", False, True, "relative to a baseline"),
        ("p99 < 2x", True, False, "relative to a baseline"),
        ("memory < 1GB", False, False, "a server that runs elsewhere"),
    ],
)
def test_a_budget_that_cannot_be_measured_is_refused_before_anything_starts(text, baseline, own_server, message):
    with pytest.raises(UsageError, match=message):
        require_measurable(LoadSettings(1.0, budgets=(Budget.parse(text),)), baseline=baseline, own_server=own_server)


def test_windows_agree_when_the_last_ones_do():
    assert is_stable([9.0, 1.0, 1.1, 1.05])
    assert not is_stable([1.0, 1.0, 1.0, 9.0])
    assert not is_stable([1.0, 1.0])


def test_a_load_test_goes_on_until_there_are_enough_requests_for_its_budgets():
    windows = [LoadWindow((0.01,) * 40, 0, 1.0) for _ in range(4)]
    assert is_settled(windows, [])
    assert is_settled(windows, [Budget.parse("p95 < 1s"), Budget.parse("throughput > 1/s")])
    assert not is_settled(windows, [Budget.parse("p99 < 1s")])
