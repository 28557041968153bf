# SPDX-License-Identifier: Apache-2.0
"""The drift gate."""

from __future__ import annotations

import math

import pytest

from tfs_deploy.rollout import Verdict, WindowSummary
from tfs_deploy.rollout.gates.drift import DriftGate
from tfs_deploy.rollout.gates.gate import StepView
from tfs_deploy.rollout.gates.request_stats import OutputComparison

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW


def view(memory=None, **compared: OutputComparison) -> StepView:
    canary = WindowSummary(compared=compared)
    return StepView("digits", 2, "canary", 5.0, canary, WindowSummary(), WindowSummary(), memory=memory)


SAME = OutputComparison(100, 0.0, 1.0)


@pytest.mark.parametrize(
    ("gate", "compared", "verdict", "reason"),
    [
        (DriftGate(), {}, FEW, "no request was answered by both versions"),
        (DriftGate(), {"y": SAME}, PASS, "100 answers compared, 'y' has distance 0, agreement 100.0%"),
        (DriftGate(), {"y": OutputComparison(9, 0.9, 0.0)}, PASS, ""),
        (DriftGate(), {"y": SAME, "z": OutputComparison(9, 0.0, 1.0, 1)}, FAIL, "output 'z': 1 values are NaN"),
        (
            DriftGate(max_distance=0.1),
            {"y": SAME, "z": OutputComparison(9, 0.2, 1.0)},
            FAIL,
            "output 'z': distance 0.2",
        ),
        (
            DriftGate(min_agreement=0.9),
            {"y": OutputComparison(9, 0.2, 0.89)},
            FAIL,
            "output 'y': agreement 89.0% with stable",
        ),
        (
            DriftGate(max_distance=0.1),
            {"y": OutputComparison(9, math.nan, 1.0)},
            FAIL,
            "output 'y': distance nan from stable",
        ),
        (
            DriftGate(min_agreement=0.9),
            {"y": OutputComparison(9, 0.0, math.nan)},
            FAIL,
            "output 'y': agreement nan% with",
        ),
        (
            DriftGate(min_samples=10),
            {"y": SAME, "z": OutputComparison(9, 0.0, 1.0)},
            FEW,
            "9 answers compared, 10 needed",
        ),
    ],
)
def test_drift_of_copies_that_consumers_compared(gate, compared, verdict, reason):
    judged = gate.judge(view(**compared))

    assert judged.verdict is verdict
    assert judged.reason.startswith(reason)


def test_without_copies_the_requests_at_hand_are_sent():
    asked = []

    def ask(stable: str, canary: str):
        asked.append((stable, canary))
        return {"y": SAME}

    gate = DriftGate(ask=ask)

    assert gate.judge(view()).verdict is PASS
    assert gate.judge(view(y=SAME)).verdict is PASS
    assert asked == [("stable", "canary")]


FLIPPED = OutputComparison(20, 1.6, 0.0)
HINT = "and no gate limits that: --gate agreement=99%, or --gate drift=0.1"


@pytest.mark.parametrize(
    ("gate", "compared", "remark"),
    [
        (DriftGate(), FLIPPED, f"only 0% of 20 answers agree with stable's in output 'y', {HINT}"),
        (DriftGate(), OutputComparison(20, 0.05, 0.0), ""),  # numbers of a regression that was trained again
        (DriftGate(), OutputComparison(20, 0.8, 0.9), ""),
        (DriftGate(max_distance=2.0), FLIPPED, ""),
        (DriftGate(min_agreement=0.0), FLIPPED, ""),
    ],
)
def test_answers_that_are_turned_round_are_told_where_no_gate_limits_them(gate, compared, remark):
    verdict = gate.judge(view(y=compared))
    assert (verdict.verdict, verdict.remark) == (PASS, remark)
