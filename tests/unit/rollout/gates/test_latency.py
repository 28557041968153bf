# SPDX-License-Identifier: Apache-2.0
"""The latency gate: too few samples never pass."""

from __future__ import annotations

import math

import pytest

from tfs_deploy.rollout import LatencyGate, Verdict, WindowSummary
from tfs_deploy.rollout.gates.gate import StepView

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW


def view(canary: WindowSummary, stable: WindowSummary | None = None) -> StepView:
    stable = stable or WindowSummary()
    return StepView("digits", 2, "canary", 5.0, canary, stable, stable)


def times(requests: int, p99: float, errors: int = 0) -> WindowSummary:
    return WindowSummary(requests, errors, p99 / 2, p99 / 1.5, p99 / 1.2, p99)


@pytest.mark.parametrize(
    ("canary", "stable", "verdict"),
    [
        (times(0, 0.01), times(500, 0.01), FEW),
        (times(500, 0.01), times(3, 0.01), FEW),
        (times(500, 0.019), times(500, 0.01), PASS),
        (times(500, 0.021), times(500, 0.01), FAIL),
        (times(500, 0.006), times(500, 0.001), FAIL),
        (times(500, 0.0049), times(500, 0.001), PASS),  # six times as long, but within the tolerance
        (WindowSummary(100, 100), times(500, 0.01), FEW),  # nothing but errors has no latency
    ],
)
def test_latency_relative_to_stable(canary, stable, verdict):
    assert LatencyGate(max_ratio=2.0, tolerance=0.004).judge(view(canary, stable)).verdict is verdict


def test_latency_absolute_needs_no_stable():
    gate = LatencyGate("p50", max_seconds=0.010, max_ratio=None)

    assert gate.judge(view(times(500, 0.019))).verdict is PASS
    failed = gate.judge(view(times(500, 0.030)))
    assert (failed.verdict, failed.reason) == (FAIL, "p50 15.0 ms, limit 10.0 ms")


NEEDED = {"p50": 10, "p90": 50, "p95": 100, "p99": 500}


@pytest.mark.parametrize(("quantile", "needed"), NEEDED.items())
@pytest.mark.parametrize("limit", [{"max_seconds": 0.1, "max_ratio": None}, {"max_ratio": 2.0}])
def test_a_quantile_is_judged_as_itself_or_not_at_all(quantile, needed, limit):
    """With fewer than five requests beyond it, no other quantile takes its place and its name."""
    fast, slow = times(5000, 0.001), dict.fromkeys(NEEDED, 0.001) | {quantile: 0.900}
    gate = LatencyGate(quantile, min_samples=10, **limit)

    for requests in (needed - 1, needed):
        enough = requests == needed
        verdict = gate.judge(view(WindowSummary(requests + 7, 7, **slow), fast))
        assert verdict.verdict is (FAIL if enough else FEW)
        assert verdict.sparse is not enough
        assert verdict.reason.startswith(
            f"{quantile} 900.0 ms" if enough else f"not enough requests of canary ({requests} of {needed})"
        )


def test_a_quantile_of_few_requests_of_stable_is_no_measure():
    verdict = LatencyGate("p99").judge(view(times(500, 0.001), times(120, 0.001)))

    assert (verdict.verdict, verdict.reason) == (FEW, "not enough requests of stable (120 of 500)")


def test_an_optional_gate_says_that_it_does_not_judge_few_requests():
    gate = LatencyGate("p99", optional=True)
    judged = [gate.judge(view(times(requests, 9.0), times(500, 0.001))) for requests in (29, 30, 499, 500)]

    assert [entry.verdict for entry in judged] == [FEW, Verdict.NOT_JUDGED, Verdict.NOT_JUDGED, FAIL]
    assert judged[2].reason == "not enough requests of canary (499 of 500)"


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_latencies_that_are_none_never_pass(nothing):
    good, bad = times(1000, 0.01), WindowSummary(1000, 0, nothing, nothing, nothing, nothing)
    for canary, stable, whose in ((bad, good, "canary"), (good, bad, "stable")):
        judged = LatencyGate(max_ratio=2.0).judge(view(canary, stable))
        assert (judged.verdict, judged.reason) == (FEW, f"no latencies of {whose}")


def test_latency_names_both_sides():
    verdict = LatencyGate().judge(view(times(500, 0.050), times(500, 0.010)))

    assert (verdict.gate, verdict.reason) == ("p99", "p99 50.0 ms against 10.0 ms of stable, limit 2 x")
