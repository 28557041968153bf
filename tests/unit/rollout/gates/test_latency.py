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


@pytest.mark.parametrize(("requests", "judged"), [(499, "p95"), (99, "p90"), (49, "p50"), (30, "p50"), (500, "p99")])
def test_one_slow_request_among_few_does_not_decide(requests, judged):
    slow = WindowSummary(requests, 0, 0.001, 0.001, 0.001, 0.900)

    verdict = LatencyGate("p99").judge(view(slow, times(500, 0.001)))

    assert verdict.verdict is (FAIL if judged == "p99" else PASS)
    assert verdict.reason.startswith(judged)


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_latencies_that_are_none_never_pass(nothing):
    good, bad = times(1000, 0.01), WindowSummary(1000, 0, nothing, nothing, nothing, nothing)
    for canary, stable, whose in ((bad, good, "canary"), (good, bad, "stable")):
        judged = LatencyGate(max_ratio=2.0).judge(view(canary, stable))
        assert (judged.verdict, judged.reason) == (FEW, f"no latencies of {whose}")


def test_latency_names_both_sides():
    verdict = LatencyGate().judge(view(times(500, 0.050), times(500, 0.010)))

    assert (verdict.gate, verdict.reason) == ("p99", "p99 50.0 ms against 10.0 ms of stable, limit 2 x")
