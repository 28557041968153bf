# SPDX-License-Identifier: Apache-2.0
"""One judgement: numbers, gates, and what happens when either breaks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tfs_deploy.errors import UnavailableError
from tfs_deploy.rollout import GateVerdict, Plan, Verdict, WindowSummary
from tfs_deploy.rollout.controller.judgement import judge_step
from tfs_deploy.rollout.gates.request_stats import OutputComparison

PLAN = Plan("digits", 1, 2, steps=(5.0, 100.0))
NOTHING = WindowSummary()


class Source:
    def __init__(self, **windows: WindowSummary) -> None:
        self.windows = windows

    def window(self, start: float, end: float):
        self.asked = (start, end)
        return self.windows


class Recorder:
    name = "recorder"

    def judge(self, step):
        self.step = step
        return GateVerdict(self.name, Verdict.PASS)


class Broken:
    name = "business"

    def judge(self, step):
        raise ValueError("division by\nzero")


class Unreachable:
    def window(self, start: float, end: float):
        raise UnavailableError("no route to host")


@pytest.mark.parametrize(
    ("required", "canary", "verdict"),
    [
        (True, WindowSummary(), Verdict.TOO_FEW),
        (False, WindowSummary(), Verdict.NOT_JUDGED),
        (True, WindowSummary(1), None),
        (True, WindowSummary(compared={"y": OutputComparison(3, 0.0, 1.0)}), None),  # a shadow gets copies
    ],
)
def test_a_canary_without_requests_is_told_and_healthy_only_where_none_are_required(required, canary, verdict):
    plan = replace(PLAN, require_traffic=required)

    report = judge_step(
        plan, 0, (0.0, 3.0), [Recorder()], Source(stable=WindowSummary(40), canary=canary), NOTHING
    ).report

    found = [entry for entry in report.verdicts if entry.gate == "traffic"]
    assert [entry.verdict for entry in found] == ([verdict] if verdict else [])
    assert all(entry.reason == "no request reached canary, 40 reached stable" for entry in found)
    assert report.verdict is (Verdict.TOO_FEW if verdict is Verdict.TOO_FEW else Verdict.PASS)


def test_gates_see_the_numbers_of_both_labels():
    gate, source = Recorder(), Source(stable=WindowSummary(950, 1), canary=WindowSummary(50, 2))

    judged = judge_step(PLAN, 0, (10.0, 13.0), [gate], source, NOTHING)

    assert source.asked == (10.0, 13.0)
    assert (gate.step.canary.requests, gate.step.stable.requests, gate.step.weight) == (50, 950, 5.0)
    assert gate.step.baseline is gate.step.stable
    assert (judged.report.number, judged.report.seconds, judged.report.requests, judged.report.errors) == (
        1,
        3,
        1000,
        3,
    )
    assert judged.report.verdict is Verdict.PASS
    assert judged.reason == ""


def test_stable_of_an_earlier_step_stands_in_when_all_traffic_is_the_canarys():
    gate, earlier = Recorder(), WindowSummary(950, 0, 0.001, 0.002, 0.002, 0.003)

    judged = judge_step(PLAN, 1, (10.0, 13.0), [gate], Source(canary=WindowSummary(1000)), earlier)

    assert gate.step.baseline == earlier
    assert judged.baseline == earlier


def test_what_is_kept_of_stable_is_its_slowest():
    earlier = WindowSummary(950, 1, 0.001, 0.009, 0.009, 0.009)
    now = WindowSummary(400, 0, 0.002, 0.003, 0.003, 0.003)

    judged = judge_step(PLAN, 0, (10.0, 13.0), [], Source(stable=now, canary=WindowSummary(400)), earlier)

    assert judged.baseline == WindowSummary(950, 1, 0.002, 0.009, 0.009, 0.009)


def test_late_requests_of_stable_do_not_replace_a_good_baseline():
    gate, earlier = Recorder(), WindowSummary(950, 0, 0.001, 0.002, 0.002, 0.003)

    judge_step(
        PLAN,
        1,
        (10.0, 13.0),
        [gate],
        Source(stable=WindowSummary(140, 0, 0.0, 0.0, 0.0, 0.0), canary=WindowSummary(3000)),
        earlier,
    )

    assert gate.step.baseline == earlier


def test_a_source_that_does_not_answer_is_too_few_samples():
    judged = judge_step(PLAN, 0, (10.0, 13.0), [Recorder()], Unreachable(), NOTHING)

    assert judged.report.verdict is Verdict.TOO_FEW
    assert judged.reason == "requests gate: no numbers: UnavailableError: no route to host"


def test_a_gate_that_breaks_is_too_few_samples():
    judged = judge_step(PLAN, 0, (10.0, 13.0), [Recorder(), Broken()], None, NOTHING)

    assert judged.report.verdict is Verdict.TOO_FEW
    assert judged.reason == "business gate: no answer: ValueError: division by zero"


class Odd:
    """A gate that answers with what is no verdict."""

    name = "business"

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def judge(self, step):
        return self._answer


@pytest.mark.parametrize("answer", [None, True, "pass", Verdict.PASS, GateVerdict("business", "pass")])
def test_a_gate_that_answers_with_no_verdict_is_too_few_samples(answer):
    judged = judge_step(PLAN, 0, (10.0, 13.0), [Odd(answer)], None, NOTHING)

    assert judged.report.verdict is Verdict.TOO_FEW
    assert judged.reason.startswith("business gate: not a GateVerdict: ")


@pytest.mark.parametrize("windows", [None, 3, {"canary": {"requests": 3}}])
def test_a_source_that_answers_with_no_windows_is_too_few_samples(windows):
    judged = judge_step(PLAN, 0, (10.0, 13.0), [], SimpleNamespace(window=lambda *_: windows), NOTHING)

    assert judged.report.verdict is Verdict.TOO_FEW
    assert judged.reason.startswith("requests gate: no numbers: ")
