# SPDX-License-Identifier: Apache-2.0
"""The exact moments at which a rollout waits no longer, forwards and on its way back: just before, and at it."""

from __future__ import annotations

from typing import Any

import pytest

from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.machine.actions import (
    Action,
    Apply,
    Approve,
    Finish,
    Judge,
    Prune,
    RestoreTraffic,
    RolloutStatus,
    Wait,
    Withdraw,
)
from tfs_deploy.rollout.machine.decide import decide
from tfs_deploy.rollout.machine.history import Event, Failure, History, elapsed
from tfs_deploy.rollout.machine.observation import AVAILABLE, END, LOADING, START, Observation, ServerView, VersionView
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit

PLAN = RolloutPlan(
    *("m", 1, 2),
    steps=(50.0, 100.0),
    bake=10.0,
    check_every=4.0,
    samples_timeout=30.0,
    load_timeout=60.0,
    outage=9.0,
    patience=20.0,
    resend=5.0,
    drain=2.0,
    keep_warm=7.0,
)
NOW = 1000.0
BOTH = {1: AVAILABLE, 2: AVAILABLE}
STABLE = {"stable": 1}
SPLIT = {"stable": 1, "canary": 2}
PROMOTED = {"stable": 2, "canary": 2}
HALF = PLAN.split(0)
SAFE = PLAN.safe_split()

LOADED: dict[str, Any] = {"preflight": True, "intended": {"load": 0.0}, "applied": {"load": (0.0, 0.0)}}
SMOKED = LOADED | {"smoked": True}
WATCHED = SMOKED | {"intended": {"load": 0.0, "label": 0.0, "weigh": 0.0}, "step": 0, "step_at": 900.0}
ASKED = SMOKED | {"intended": {"load": 0.0, "label": 0.0, "weigh": 0.0, "promote": 0.0}, "passed": 2, "step": 1}
CALM = ASKED | {"safe_at": 900.0}
RETIRED = CALM | {"intended": {**CALM["intended"], "retire": 0.0}}
BACK = WATCHED | {"reason": "bad", "safe_at": 900.0}
UNLOADED = BACK | {"intended": {**BACK["intended"], "unload": 0.0}}


def seen(states: dict[int, str] | None = None, labels: dict[str, int] | None = None, **more: Any) -> Observation:
    versions = {version: VersionView(state) for version, state in (BOTH if states is None else states).items()}
    server = ServerView(versions, STABLE if labels is None else labels)
    return Observation(**{"now": NOW, "server": server, **more})


def silent(seconds: float) -> Observation:
    return Observation(NOW, None, silent_for=seconds, error="refused")


def failed(action: str, *, first: float, last: float) -> Failure:
    return Failure(action, "busy", True, NOW - first, NOW - last)


def kind(action: Action) -> str:
    if isinstance(action, Apply):
        return action.purpose
    if isinstance(action, Finish):
        return str(action.status.value)
    return type(action).__name__.lower()


def since_load(seconds: float, last: float = 0.0) -> dict[str, Any]:
    return LOADED | {"applied": {"load": (NOW - seconds, NOW - last)}}


ALMOST = 1e-6


@pytest.mark.parametrize(
    ("what", "moment", "before", "then"),
    [
        # the server is silent, an action fails
        (lambda s: (silent(s), LOADED), PLAN.outage, "wait", "withdraw"),
        (lambda s: (silent(s), RETIRED), PLAN.patience, "wait", "paused"),
        (lambda s: (seen(), LOADED | {"failure": failed("load", first=s, last=0)}), PLAN.outage, "wait", "withdraw"),
        (lambda s: (seen(), LOADED | {"failure": failed("load", first=s, last=s)}), PLAN.poll * 5, "wait", "smoke"),
        (
            lambda s: (seen(labels=PROMOTED), RETIRED | {"failure": failed("retire", first=s, last=0)}),
            *(PLAN.patience, "wait", "paused"),
        ),
        # the new version loads
        (lambda s: (seen({1: AVAILABLE, 2: LOADING}), since_load(s)), PLAN.load_timeout, "wait", "withdraw"),
        (lambda s: (seen({1: AVAILABLE, 2: START}), since_load(s)), PLAN.load_timeout, "wait", "withdraw"),
        (lambda s: (seen({1: AVAILABLE}), since_load(s, s)), PLAN.resend, "wait", "load"),
        # a label takes effect
        (lambda s: (seen(), _applied(SMOKED, "label", 6, s)), PLAN.resend, "wait", "label"),
        (lambda s: (seen(), _applied(SMOKED, "label", s, 6)), PLAN.patience, "label", "withdraw"),
        (lambda s: (seen(labels=SPLIT, split=SAFE), _applied(ASKED, "promote", s, 6)), 20.0, "promote", "withdraw"),
        # a step is watched
        (lambda s: (seen(labels=SPLIT, split=HALF), WATCHED | {"step_at": NOW - s}), 4.0, "wait", "judge"),
        (lambda s: (seen(labels=SPLIT, split=HALF), _few(s)), PLAN.bake + PLAN.samples_timeout, "judge", "withdraw"),
        # the new version is stable
        (lambda s: (seen(labels=PROMOTED, split=SAFE), CALM | {"safe_at": NOW - s}), PLAN.keep_warm, "wait", "retire"),
        (lambda s: (seen(labels=PROMOTED), _applied(RETIRED, "retire", 6, s)), PLAN.resend, "wait", "retire"),
        (lambda s: (seen(labels=PROMOTED), _applied(RETIRED, "retire", s, 6)), PLAN.patience, "retire", "paused"),
        # the way back
        (lambda s: (seen(), BACK | {"failure": failed("unload", first=s, last=0)}), PLAN.patience, "wait", "paused"),
        (lambda s: (seen(), BACK | {"failure": failed("unload", first=s, last=s)}), 1.0, "wait", "unload"),
        (lambda s: (seen(split=SAFE), BACK | {"safe_at": NOW - s}), PLAN.drain, "wait", "unload"),
        (lambda s: (seen({2: AVAILABLE}, {}), _applied(BACK, "restore", 6, s)), PLAN.resend, "wait", "restore"),
        (lambda s: (seen({2: AVAILABLE}, {}), _applied(BACK, "restore", s, 6)), 60.0, "restore", "paused"),
        (lambda s: (seen(), _applied(UNLOADED, "unload", 6, s)), PLAN.resend, "wait", "unload"),
        (lambda s: (seen(), _applied(UNLOADED, "unload", s, 6)), PLAN.patience, "unload", "paused"),
        (lambda s: (silent(s), _applied(UNLOADED, "unload", 6, 6)), PLAN.patience, "wait", "paused"),
    ],
)
def test_the_moment(what, moment, before, then):
    decided = []
    for seconds in (moment - ALMOST, moment + ALMOST):
        observation, facts = what(seconds)
        decided.append(kind(decide(PLAN, observation, History(**facts))))
    assert decided == [before, then]


def _applied(facts: dict[str, Any], purpose: str, first: float, last: float) -> dict[str, Any]:
    return facts | {"applied": {**facts["applied"], purpose: (NOW - first, NOW - last)}}


def _few(seconds: float) -> dict[str, Any]:
    return WATCHED | {"step_at": NOW - seconds, "judged_at": NOW - 4.0, "verdict": Verdict.TOO_FEW}


def test_a_restore_is_sent_again_after_a_second_at_the_earliest():
    plan = RolloutPlan("m", 1, 2, resend=0.1)
    for last, expected in ((0.9, "wait"), (1.1, "restore")):
        past = History(**_applied(BACK, "restore", 2, last))
        assert kind(decide(plan, seen({2: AVAILABLE}, {}), past)) == expected


@pytest.mark.parametrize(("last", "expected"), [(4.99, "wait"), (5.01, "withdraw")])
def test_a_failure_that_was_there_before_the_load_is_forgiven_for_five_seconds(last, expected):
    view = ServerView({1: VersionView(AVAILABLE), 2: VersionView(END, 3, "no space")}, STABLE)
    past = History(**since_load(last, last), stale_failure=True)
    plan = RolloutPlan("m", 1, 2, resend=100.0)
    assert kind(decide(plan, Observation(NOW, view), past)) == expected


def test_a_failure_to_load_is_told():
    view = ServerView({1: VersionView(AVAILABLE), 2: VersionView(END, 3, "no space")}, STABLE)
    past = History(**since_load(1.0, 1.0))
    assert decide(PLAN, Observation(NOW, view), past) == Withdraw("version 2 failed to load: no space")


def test_a_rollout_that_has_finished_stays_so():
    past = History(finished=RolloutStatus.DONE, finish_reason="all steps passed")
    assert decide(PLAN, silent(1e6), past) == Finish(RolloutStatus.DONE, "all steps passed")


def test_a_failing_verdict_withdraws_after_as_many_as_the_plan_says():
    plan = RolloutPlan("m", 1, 2, steps=(50.0, 100.0), fail_after=2)
    for fails, expected in ((1, "judge"), (2, "withdraw")):
        past = History(**WATCHED, verdict=Verdict.FAIL, verdict_reason="slow", fails=fails, judged_at=NOW - 50)
        action = decide(plan, seen(labels=SPLIT, split=HALF), past)
        assert kind(action) == expected
    assert action == Withdraw("step 50 %: slow")


def test_a_step_is_judged_for_the_last_time_at_the_end_of_its_bake():
    for step_at, final in ((NOW - 9.9, False), (NOW - 10.1, True)):
        past = History(**WATCHED | {"step_at": step_at})
        assert decide(PLAN, seen(labels=SPLIT, split=HALF), past) == Judge(0, final=final, lenient=False)


@pytest.mark.parametrize(
    ("on_too_few", "lenient", "expected"),
    [("fail", False, "withdraw"), ("pause", False, "paused"), ("pass", False, "judge"), ("pass", True, "withdraw")],
)
def test_too_few_samples_for_too_long(on_too_few, lenient, expected):
    plan = RolloutPlan("m", 1, 2, steps=(50.0, 100.0), on_too_few=on_too_few)
    past = History(**_few(70.1), lenient=lenient)
    action = decide(plan, seen(labels=SPLIT, split=HALF), past)
    assert kind(action) == expected
    assert not isinstance(action, Judge) or action.lenient


def test_a_longer_wait_is_cut_to_five_polls():
    assert decide(PLAN, seen(labels=SPLIT, split=HALF), History(**WATCHED | {"step_at": NOW})) == Wait(
        PLAN.poll * 5, "watching 50 %"
    )
    action = decide(PLAN, seen(labels=SPLIT, split=HALF), History(**WATCHED | {"step_at": NOW - 3.5}))
    assert action == Wait(0.5, "watching 50 %")


def test_what_is_asked_for():
    watched = History(**WATCHED)
    there = seen(labels=SPLIT, split=HALF)
    for request, expected in (("promote", Approve(skip=False)), ("promote-now", Approve(skip=True))):
        assert decide(PLAN, Observation(NOW, there.server, HALF, request=request), watched) == expected
    approved = History(**WATCHED, approved=True)
    assert isinstance(decide(PLAN, Observation(NOW, there.server, HALF, request="promote"), approved), Judge)
    assert isinstance(decide(PLAN, Observation(NOW, there.server, HALF, request="promote-now"), approved), Approve)


def test_old_versions_are_removed_once_and_only_where_the_plan_says_so():
    alone = seen({2: AVAILABLE}, {"stable": 2}, split=SAFE)
    done = _applied(RETIRED | {"step": 1}, "retire", 3, 3)
    assert decide(PLAN, alone, History(**done)) == Finish(RolloutStatus.DONE)
    plan = RolloutPlan("m", 1, 2, steps=(50.0, 100.0), retain=3)
    assert decide(plan, alone, History(**done)) == Prune(3)
    assert decide(plan, alone, History(**_applied(done, "prune", 0, 0))) == Finish(RolloutStatus.DONE)


def test_labels_of_others_stay_in_every_reload():
    plan = RolloutPlan("m", 1, 2, steps=(100.0,), others={"vip": 7}, keep_canary=True)
    states, vip = {**BOTH, 7: AVAILABLE}, {"vip": 7}
    waiting = LOADED | {"applied": {}}
    for facts, labels, expected in (
        (waiting, STABLE, Apply("load", (1, 2, 7), {**vip, "stable": 1})),
        (SMOKED, STABLE, Apply("label", (1, 2, 7), {**vip, "stable": 1, "canary": 2})),
        (ASKED, SPLIT, Apply("promote", (1, 2, 7), {**vip, "stable": 2, "canary": 2})),
        (RETIRED, PROMOTED, Apply("retire", (2, 7), {**vip, "stable": 2, "canary": 2})),
        (WATCHED | {"reason": "bad"}, SPLIT, Apply("isolate", (1, 2, 7), {**vip, "stable": 1, "canary": 1})),
        (BACK, STABLE, Apply("unload", (1, 7), {**vip, "stable": 1, "canary": 1})),
    ):
        assert decide(plan, seen(states, {**labels, **vip}), History(**facts)) == expected


def test_the_way_back_gives_stable_its_traffic_before_anything_is_unloaded():
    there = seen(split=HALF)
    assert decide(PLAN, there, History(**BACK)) == RestoreTraffic(SAFE.weights)
    copies = Observation(NOW, there.server, TrafficSplit({"stable": 100.0}, {"canary": 1.0}))
    assert decide(PLAN, copies, History(**BACK)) == RestoreTraffic(SAFE.weights)
    assert decide(PLAN, seen(), History(**BACK | {"safe_at": None})) == RestoreTraffic(SAFE.weights)


def test_between_boots_of_a_machine_a_time_in_the_past_counts_as_the_present():
    events = [
        Event("start", at=100.0, uptime=50.0, detail={"boot": "a"}),
        Event("note", at=90.0, uptime=53.0),
        Event("resume", at=101.0, uptime=1.0, detail={"boot": "b"}),
        Event("note", at=500.0, uptime=0.5),
        Event("resume", at=120.0, uptime=2.0, detail={"boot": "c"}),
    ]
    assert elapsed(events) == [0.0, 3.0, 3.0, 3.0, 20.0]
    assert elapsed([]) == []


@pytest.mark.parametrize(("pause", "first"), [(60.0, 100.0), (60.5, 200.5)])
def test_an_action_done_again_a_minute_later_begins_anew(pause, first):
    past = History()
    for mono in (100.0, 140.0, 140.0 + pause):
        past = past.after(Event("outcome", "label", mono=mono))
    assert past.applied["label"] == (first, 140.0 + pause)


def test_failures_count_from_the_first_of_the_same_action():
    past = History()
    for action, mono in (("load", 1.0), ("load", 4.0)):
        past = past.after(Event("outcome", action, ok=False, detail={"retriable": True, "error": "busy"}, mono=mono))
    assert past.failure == Failure("load", "busy", True, 1.0, 4.0)
    past = past.after(Event("outcome", "label", ok=False, detail={"error": "no"}, mono=6.0))
    assert past.failure == Failure("label", "no", False, 6.0, 6.0)
    assert past.after(Event("outcome", "label", mono=7.0)).failure is None


def test_consecutive_failing_verdicts_are_counted():
    def judged(past: History, verdict: str, *, final: bool) -> History:
        detail = {"verdict": verdict, "reason": "", "final": final, "baseline": past.baseline.as_dict()}
        return past.after(Event("outcome", "judge", detail=detail, mono=5.0))

    past = judged(judged(History(), "fail", final=False), "fail", final=False)
    assert (past.fails, past.passed, past.judged_at) == (2, 0, 5.0)
    past = judged(past, "pass", final=False)
    assert (past.fails, past.passed) == (0, 0)
    assert judged(past, "pass", final=True).passed == 1
