# SPDX-License-Identifier: Apache-2.0
"""Metrics of answers, and their limits."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.measure.metrics import METRICS, MetricLimit, compute

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
    with pytest.raises(UsageError, match="3 answers cannot be compared with 2 labels"):
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
