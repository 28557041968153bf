"""Budgets and metrics: read with every mistake named, judged by plain numbers."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import SpecError, UsageError
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.load_test import LoadSettings, is_stable, require_measurable
from tfs_deploy.verify.measure.budgets import Budget, read_budgets
from tfs_deploy.verify.measure.load_test_result import LoadTestResult
from tfs_deploy.verify.measure.metrics import METRICS, MetricLimit, compute


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


def test_a_file_that_is_not_there_is_a_usage_error():
    with pytest.raises(UsageError, match="neither a budget nor a file"):
        read_budgets(["nowhere.yaml"])


@given(limit=st.floats(0.001, 1000), value=st.floats(0.001, 1000), base=st.floats(0.001, 1000))
def test_a_budget_holds_exactly_up_to_its_limit(limit, value, base):
    text = f"p50 <= {limit:.4f}x"
    verdict = Budget.parse(text).judge(measured([value]), measured([base]))
    assert (verdict.status is CheckStatus.PASSED) == (value <= float(f"{limit:.4f}") * base)


def test_what_was_not_measured_is_not_within_any_budget():
    assert Budget.parse("memory < 1GB").judge(measured(), None).status is CheckStatus.FAILED
    assert Budget.parse("p99 < 2x").judge(measured(), None).status is CheckStatus.FAILED
    assert Budget.parse("p99 < 1s").judge(measured([]), None).status is CheckStatus.FAILED
    assert Budget.parse("errors <= 10%").judge(measured([1] * 9, errors=1), None).status is CheckStatus.PASSED


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


@given(st.lists(st.floats(0, 100), min_size=1, max_size=200), st.floats(1, 100))
def test_percentiles_are_values_that_were_measured(latencies, percent):
    value = measured(latencies).percentile(percent)
    assert value in latencies
    assert sum(each <= value for each in latencies) >= percent / 100 * len(latencies) - 1e-6


ONE_HOT = np.eye(3)[[0, 1, 2, 1]]


@pytest.mark.parametrize(
    ("name", "outputs", "labels", "value"),
    [
        ("accuracy", np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, 2, 1]), 0.75),
        ("accuracy", np.eye(3)[[0, 1, 2, 0]], ONE_HOT, 0.75),
        ("accuracy", np.array([[0.9], [0.2]]), np.array([1, 1]), 0.5),
        ("accuracy", np.array([3.0, -2.0]), np.array([1, 0]), 1.0),
        ("accuracy", np.array([b"cat", b"dog"], object), np.array([b"cat", b"owl"], object), 0.5),
        ("top2", np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]), np.array([1, 2]), 0.5),
        ("precision", np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]), 0.5),
        ("recall", np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]), 0.5),
        ("f1", np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]), 0.5),
        ("auc", np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]), 0.75),
        ("auc", np.array([0.5, 0.5]), np.array([0, 1]), 0.5),
        ("log_loss", np.array([0.5, 0.5]), np.array([0, 1]), np.log(2)),
        ("mae", np.array([[1.0], [3.0]]), np.array([2.0, 2.0]), 1.0),
        ("mse", np.array([1.0, 4.0]), np.array([2.0, 2.0]), 2.5),
        ("rmse", np.array([0.0, 0.0]), np.array([3.0, 3.0]), 3.0),
        ("r2", np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), 1.0),
    ],
)
def test_metrics(name, outputs, labels, value):
    assert compute(name, outputs, labels) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("accuracy", "not a valid metric limit", "accuracy>=0.95"),
        ("acuracy>=0.9", "unknown metric 'acuracy'", "did you mean 'accuracy'?"),
        ("accuracy==1", "not a valid metric limit", ""),
    ],
)
def test_a_metric_that_is_none_is_named(text, message, hint):
    with pytest.raises(UsageError) as caught:
        MetricLimit.parse(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_a_metric_is_judged_by_its_limit():
    limit = MetricLimit.parse("accuracy >= 75%")
    outputs, labels = np.eye(2)[[0, 1, 0, 1]], np.array([0, 1, 0, 0])
    assert limit.judge(outputs, labels).status is CheckStatus.PASSED
    assert limit.judge(outputs, 1 - labels).status is CheckStatus.FAILED
    assert limit.judge(outputs, labels).measured == 0.75


def test_metrics_that_do_not_fit_the_answers_are_usage_errors():
    with pytest.raises(UsageError, match="3 answers do not match 2 labels"):
        compute("accuracy", np.zeros(3), np.zeros(2))
    with pytest.raises(UsageError, match="both classes"):
        compute("auc", np.zeros(3), np.zeros(3))
    with pytest.raises(UsageError, match="cannot be compared"):
        compute("mae", np.zeros((3, 2)), np.zeros(3))


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize(
    ("outputs", "labels"),
    [
        (np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([5, 7])),
        (np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([b"cat", b"dog"], object)),
        (np.array([b"cat", b"dog"], object), np.array([0.5, 1.5])),
        (np.array([[b"cat"], [b"dog"]], object), np.array([b"cat", b"dog"], object)),
        (np.array([0.1, np.nan]), np.array([0, 1])),
        (np.zeros((2, 2, 2)), np.array([0, 1])),
        (np.array([1 + 1j, 2]), np.array([0, 1])),
        (np.array([], np.float64).reshape(2, 0), np.array([0, 1])),
    ],
)
def test_a_metric_that_does_not_fit_is_a_usage_error_and_never_anything_else(name, outputs, labels):
    with contextlib.suppress(UsageError), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        assert MetricLimit(name, ">=", 2.0).judge(outputs, labels).status in (CheckStatus.FAILED, CheckStatus.PASSED)


def test_labels_that_are_no_class_of_the_answers_are_named():
    with pytest.raises(
        UsageError, match=r"log_loss cannot be computed from answers float64 \[1, 2\] and labels int64 \[1\]"
    ):
        MetricLimit("log_loss", "<", 1.0).judge(np.array([[0.5, 0.5]]), np.array([2]))
