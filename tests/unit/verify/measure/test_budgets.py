# SPDX-License-Identifier: Apache-2.0
"""Budgets: read, judged, refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import SpecError, UsageError
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.measure.budgets import Budget, read_budgets
from tfs_deploy.verify.measure.load_test_result import LoadTestResult


def measured(latencies=(0.01,), **more) -> LoadTestResult:
    return LoadTestResult("m 1", "embedded", "s", tuple(sorted(latencies)), more.pop("errors", 0), 2.0, **more)


@pytest.mark.parametrize(
    ("text", "metric", "limit", "relative"),
    [
        ("p99 < 20ms", "p99", 0.02, False),
        ("p50<=1.5s", "p50", 1.5, False),
        ("P90 < 500us", "p90", 0.0005, False),
        ("throughput >= 200/s", "throughput", 200, False),
        ("errors <= 1%", "errors", 0.01, False),
        ("memory < 2GB", "memory", 2e9, False),
        ("memory < 1GiB", "memory", 2**30, False),
        ("cpu < 1.5", "cpu", 1.5, False),
        ("p99 < 1.2x", "p99", 1.2, True),
        ("p99 < 1.2x baseline", "p99", 1.2, True),
    ],
)
def test_budgets_are_read(text, metric, limit, relative):
    budget = Budget.parse(text)
    assert (budget.metric, budget.limit, budget.relative) == (metric, pytest.approx(limit), relative)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("p99 20ms", "not a valid budget", "p99 < 20ms"),
        ("p98 < 20ms", "unknown metric 'p98'", "did you mean 'p9"),
        ("latency < 20ms", "unknown metric 'latency'", "throughput"),
        ("p99 < 20", "'no unit' does not fit p99", "'ms'"),
        ("p99 < 20GB", "'gb' does not fit p99", "'ms'"),
        ("memory < 1.2x", "cannot be compared", "memory < 2GB"),
        ("p99 < -1ms", "not a valid budget", ""),
    ],
)
def test_a_budget_that_is_none_is_named(text, message, hint):
    with pytest.raises(UsageError) as caught:
        Budget.parse(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_file_of_budgets_names_every_mistake_with_its_line(tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text("budgets:\n  - p99 < 20ms\n  - p98 < 1s\n  - memory < 5\nlimit: 3\n")
    with pytest.raises(SpecError) as caught:
        read_budgets([str(path)])
    assert [problem.line for problem in caught.value.problems] == [3, 4, 5]
    assert f"{path}:3: budgets[1]: " in caught.value.message
    path.write_text("budgets:\n  - p99 < 20ms\n  - throughput > 5/s\n")
    assert [budget.text for budget in read_budgets([str(path), "p50 < 1s"])] == [
        *("p99 < 20ms", "throughput > 5/s", "p50 < 1s")
    ]


@pytest.mark.parametrize("text", ["", "budgets: []", "- p99 < 1s", "a: [", "budgets: 3"])
def test_a_file_without_budgets_is_refused(text, tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text(text)
    with pytest.raises(SpecError):
        read_budgets([str(path)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budgets: []\n---\nbudgets: []\n", "holds a second document (---); a budget file is a single document"),
        (f"budgets: {'[' * 300}{']' * 300}\n", "not a budget file: nested too deeply"),
        ("budgets: !own [p50 < 1 ms]\n", "tag !own is not supported in a budget file"),
    ],
)
def test_a_budget_file_is_not_called_another_kind_of_file(text, message, tmp_path):
    path = tmp_path / "budgets.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_budgets([str(path)])
    assert message in caught.value.message


def test_a_file_that_is_not_there_is_a_usage_error():
    with pytest.raises(UsageError, match="neither a budget nor a file"):
        read_budgets(["nowhere.yaml"])


@given(limit=st.floats(0.001, 1000), value=st.floats(0.001, 1000), base=st.floats(0.001, 1000))
def test_a_budget_holds_exactly_up_to_its_limit(limit, value, base):
    text = f"p50 <= {limit:.4f}x"
    verdict = Budget.parse(text).judge(measured([value] * 10), measured([base] * 10))
    assert (verdict.status is CheckStatus.PASSED) == (value <= float(f"{limit:.4f}") * base)


@pytest.mark.parametrize(("metric", "needed"), [("p50", 10), ("p90", 50), ("p95", 100), ("p99", 500)])
def test_a_quantile_of_too_few_requests_is_never_judged_under_its_name(metric, needed):
    few, enough = measured([0.01] * (needed - 1)), measured([0.01] * needed)
    budget, relative = Budget.parse(f"{metric} < 1s"), Budget.parse(f"{metric} < 2x")
    reason = f"not enough requests for {metric} ({needed - 1} of {needed})"

    assert budget.judge(enough, None).status is CheckStatus.PASSED
    assert relative.judge(enough, enough).status is CheckStatus.PASSED
    judged = budget.judge(few, None)
    assert (judged.status, reason in judged.reason, "--load" in judged.reason) == (CheckStatus.FAILED, True, True)
    assert budget.judge(few, None, on_too_few="skip").status is CheckStatus.SKIPPED
    assert "not enough requests of the baseline" in relative.judge(enough, few).reason


def test_what_was_not_measured_is_not_within_any_budget():
    assert Budget.parse("memory < 1GB").judge(measured(), None).status is CheckStatus.FAILED
    assert Budget.parse("p99 < 2x").judge(measured(), None).status is CheckStatus.FAILED
    assert Budget.parse("p99 < 1s").judge(measured([]), None).status is CheckStatus.FAILED
    assert Budget.parse("errors <= 10%").judge(measured([1] * 9, errors=1), None).status is CheckStatus.PASSED
