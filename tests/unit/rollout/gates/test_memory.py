# SPDX-License-Identifier: Apache-2.0
"""The memory gate."""

from __future__ import annotations

import pytest

from tfs_deploy.rollout import Verdict, WindowSummary
from tfs_deploy.rollout.gates.gate import StepView
from tfs_deploy.rollout.gates.memory import MemoryGate

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW
MB = 1 << 20


def view(memory) -> StepView:
    return StepView("digits", 2, "canary", 5.0, WindowSummary(), WindowSummary(), WindowSummary(), memory=memory)


@pytest.mark.parametrize(
    ("gate", "memory", "verdict"),
    [
        (MemoryGate(), None, FEW),
        (MemoryGate(), (400 * MB, 900 * MB), PASS),  # less than is worth a word
        (MemoryGate(), (400 * MB, 920 * MB), FAIL),
        (MemoryGate(), (2000 * MB, 2900 * MB), PASS),
        (MemoryGate(max_growth=0.2, tolerance=0), (400 * MB, 479 * MB), PASS),
        (MemoryGate(max_growth=0.2, tolerance=0), (400 * MB, 481 * MB), FAIL),
        (MemoryGate(max_growth=None, max_bytes=500 * MB), (100 * MB, 499 * MB), PASS),
        (MemoryGate(max_growth=None, max_bytes=500 * MB), (600 * MB, 501 * MB), FAIL),
    ],
)
def test_memory(gate, memory, verdict):
    assert gate.judge(view(memory)).verdict is verdict
