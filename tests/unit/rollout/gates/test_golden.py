# SPDX-License-Identifier: Apache-2.0
"""The golden gate."""

from __future__ import annotations

import pytest

from tfs_deploy.rollout import CheckResult, GoldenGate, Verdict, WindowSummary
from tfs_deploy.rollout.gates.gate import StepView

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW


def view(canary: WindowSummary, stable: WindowSummary | None = None) -> StepView:
    stable = stable or WindowSummary()
    return StepView("digits", 2, "canary", 5.0, canary, stable, stable)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (CheckResult(ok=True), PASS),
        (CheckResult(ok=False, reason="off by 1"), FAIL),
        (CheckResult(ok=False, reason="busy", retriable=True), FEW),
    ],
)
def test_golden(result, verdict):
    asked = []

    def ask(label: str, version: int) -> CheckResult:
        asked.append((label, version))
        return result

    assert GoldenGate(ask).judge(view(WindowSummary())).verdict is verdict
    assert asked == [("canary", 2)]
