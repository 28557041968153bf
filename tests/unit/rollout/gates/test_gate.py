# SPDX-License-Identifier: Apache-2.0
"""The verdict of all gates together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.rollout import Verdict
from tfs_deploy.rollout.gates.gate import GateVerdict, worst

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW


@given(st.lists(st.sampled_from(list(Verdict))))
def test_all_gates_together_pass_only_if_each_passes(verdicts):
    together = worst(GateVerdict("g", verdict) for verdict in verdicts)

    assert (together is PASS) == all(verdict in (PASS, Verdict.NOT_JUDGED) for verdict in verdicts)
    assert (together is FAIL) == (FAIL in verdicts)
