# SPDX-License-Identifier: Apache-2.0
"""A rollout in words: what is told once, and what again."""

from __future__ import annotations

import pytest

from tfs_deploy.rollout import Plan
from tfs_deploy.rollout.gates.registry import parse_gate
from tfs_deploy.rollout.machine.history import Event
from tfs_deploy.rollout.machine.narration import Narrator, narrate, unlimited_answers, unseen_traffic, way_on

PLAN = Plan("digits", 1, 2, steps=(10.0, 100.0), bake=30.0, samples_timeout=300.0)


def waits(at: float, reason: str, *, final: bool = True) -> Event:
    verdict = {"gate": "p99", "verdict": "too few samples", "reason": reason}
    detail = {"weight": 10.0, "verdict": "too few samples", "final": final, "verdicts": [verdict]}
    return Event("outcome", "judge", detail=detail, at=at)


def told(*events: Event) -> list[str | None]:
    narrator = Narrator(PLAN)
    narrator.line(Event("outcome", "weigh", detail={"step": 0, "memory": None}, at=1000.0))
    return [narrator.line(event) for event in events]


def test_a_wait_for_samples_is_told_once_and_then_each_minute_with_the_time_left():
    lines = told(*(waits(1030.0 + second, f"not enough requests ({second} of 500)") for second in range(121)))
    assert {second: line for second, line in enumerate(lines) if line is not None} == {
        0: "10 %: too few samples (p99: not enough requests (0 of 500))",
        60: "10 %: too few samples (p99: not enough requests (60 of 500)); 240 s left",
        120: "10 %: too few samples (p99: not enough requests (120 of 500)); 180 s left",
    }


def test_another_reason_is_told_at_once_and_the_bake_is_not_over_yet():
    assert told(
        waits(1005.0, "no request", final=False),
        waits(1010.0, "no request", final=False),
        waits(1011.0, "no answer"),
        waits(1012.0, "no request"),
    ) == [
        "10 %: too few samples (p99: no request)",
        None,
        "10 %: too few samples (p99: no answer)",
        "10 %: too few samples (p99: no request)",
    ]


def test_a_clock_that_is_set_back_holds_nothing_back():
    assert told(waits(1030.0, "no request"), waits(500.0, "no request"))[1] is not None


def test_a_plan_without_a_gate_on_the_answers_says_so():
    assert unlimited_answers(PLAN).endswith(
        "version 2 are from those of version 1: --gate agreement=99%, or --gate drift=0.1"
    )
    limited = Plan("digits", 1, 2, steps=(100.0,), gates=(parse_gate("agreement=99%"),))
    experiment = Plan("digits", 1, 2, steps=(50.0,), strategy="ab")
    assert [unlimited_answers(plan) for plan in (limited, experiment, Plan("digits", 2, 1, back=True, steps=()))] == [
        ""
    ] * 3


def test_what_preflight_refuses_is_told_without_a_rollback_and_its_reason_only_at_the_end():
    plan = Plan("digits", 1, 2)
    failed = Event("outcome", "preflight", True, {"passed": False, "reason": "no goldens", "notes": []})
    end = Event("finish", "", True, {"status": "rolled back", "reason": "preflight: no goldens", "refused": True})

    assert [narrate(event, plan) for event in (failed, end)] == ["preflight failed", "refused: nothing was changed"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "mend version 2, or export it again"),
        (
            ("--ignore-lint", "--allow-missing-goldens"),
            "mend version 2, or export it again; or repeat rollout start with --ignore-lint --allow-missing-goldens",
        ),
    ],
)
def test_the_way_on_from_a_refusal_names_the_flags_that_allow_all_of_it(flags, told):
    assert way_on(2, flags) == told


def test_a_consumer_that_recorded_earlier_is_told_apart_from_none_at_all():
    unseen = "so the traffic of canary is not seen and not judged"
    assert unseen_traffic(PLAN) == f"no consumer records its requests of digits, {unseen}"
    earlier = "no consumer records its requests of digits now (the last was seen at 2026-11-30 12:00:00 UTC)"
    assert unseen_traffic(PLAN, 1_796_040_000.0) == f"{earlier}, {unseen}"
