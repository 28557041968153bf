# SPDX-License-Identifier: Apache-2.0
"""Gates on failed requests and on values that are not finite."""

from __future__ import annotations

import pytest

from tfs_deploy.rollout import ErrorRateGate, Verdict, WindowSummary
from tfs_deploy.rollout.gates.errors import FiniteGate
from tfs_deploy.rollout.gates.gate import StepView

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW


def view(canary: WindowSummary, stable: WindowSummary | None = None) -> StepView:
    stable = stable or WindowSummary()
    return StepView("digits", 2, "canary", 5.0, canary, stable, stable)


@pytest.mark.parametrize(
    ("requests", "errors", "verdict"),
    [
        (0, 0, FEW),
        (29, 0, FEW),
        (30, 0, PASS),
        (1, 1, FAIL),  # one error is more than 1 % of the 30 that are needed
        (100, 1, PASS),
        (100, 2, FAIL),
        (5, 5, FAIL),
    ],
)
def test_error_rate(requests, errors, verdict):
    assert ErrorRateGate(max_rate=0.01, min_samples=30).judge(view(WindowSummary(requests, errors))).verdict is verdict


def test_requests_that_fail_on_stable_too_are_not_the_canarys_fault():
    gate = ErrorRateGate(max_rate=0.01, min_samples=30)

    assert gate.judge(view(WindowSummary(100, 6), WindowSummary(1000, 50))).verdict is PASS
    failed = gate.judge(view(WindowSummary(100, 7), WindowSummary(1000, 50)))
    assert (failed.verdict, failed.reason) == (
        FAIL,
        "7 of 100 requests failed, limit 1.0% above the 5.0% of stable",
    )


@pytest.mark.parametrize(
    ("canary", "stable", "verdict"),
    [
        (WindowSummary(100), WindowSummary(), PASS),
        (WindowSummary(100, broken=1), WindowSummary(100), FAIL),
        (WindowSummary(100, broken=5), WindowSummary(100, broken=5), PASS),
        (WindowSummary(), WindowSummary(), FEW),
        (WindowSummary(29), WindowSummary(100), FEW),
        (WindowSummary(1, broken=1), WindowSummary(), FAIL),
    ],
)
def test_values_that_are_not_finite(canary, stable, verdict):
    assert FiniteGate().judge(view(canary, stable)).verdict is verdict
