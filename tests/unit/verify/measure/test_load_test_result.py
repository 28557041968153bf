# SPDX-License-Identifier: Apache-2.0
"""Percentiles of a load test."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.verify.measure.load_test_result import LoadTestResult


def measured(latencies=(0.01,), **more) -> LoadTestResult:
    return LoadTestResult("m 1", "embedded", "s", tuple(sorted(latencies)), more.pop("errors", 0), 2.0, **more)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.floats(1, 100))
def test_percentiles_are_values_that_were_measured(latencies, percent):
    value = measured(latencies).percentile(percent)
    assert value in latencies
    assert sum(each <= value for each in latencies) >= percent / 100 * len(latencies) - 1e-6


def test_a_quantile_of_too_few_answers_is_unknown():
    few, enough = measured([0.01] * 498 + [0.5]), measured([0.01] * 499 + [0.5])
    assert (few.quantile("p99"), few.quantile("p95"), few.percentile(100)) == (None, 0.01, 0.5)
    assert enough.quantile("p99") == 0.01
    assert {name: few.as_dict()[name] for name in ("p50", "p90", "p99", "slowest")} == {
        "p50": 0.01,
        "p90": 0.01,
        "p99": None,
        "slowest": 0.5,
    }
