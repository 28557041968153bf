# SPDX-License-Identifier: Apache-2.0
"""decide(): every phase of a rollout against every observation, as a table and as rules that always hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.machine.actions import (
    Apply,
    Finish,
    RestoreTraffic,
    RolloutStatus,
    SetTraffic,
    Wait,
    Withdraw,
    action_name,
)
from tfs_deploy.rollout.machine.decide import _due, decide
from tfs_deploy.rollout.machine.history import History
from tfs_deploy.rollout.machine.observation import AVAILABLE, END, LOADING, ServerView, VersionView
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit

PHASES = ["preflight", "load", "smoke", "label", "weigh", "judge", "promote", "calm", "retire", "withdraw", "unload"]


def without(view: ServerView, version: int, state: VersionView) -> ServerView:
    labels = {label: target for label, target in view.labels.items() if target != version}
    return ServerView({**view.versions, version: state}, labels)


#: what may be seen instead, given what is seen
OBSERVATIONS = {
    "as it is": lambda seen: seen,
    "server silent": lambda seen: replace(seen, server=None, silent_for=1.0, error="refused"),
    "server silent for long": lambda seen: replace(seen, server=None, silent_for=1e6, error="refused"),
    "process ended": lambda seen: replace(seen, server=None, silent_for=0.1, error="refused", ended=True),
    "server without any version": lambda seen: replace(seen, server=ServerView()),
    "old version gone": lambda seen: replace(seen, server=without(seen.server, 1, VersionView(END))),
    "new version gone": lambda seen: replace(seen, server=without(seen.server, 2, VersionView(END))),
    "new version failed": lambda seen: replace(seen, server=without(seen.server, 2, VersionView(END, 3, "no"))),
    "new version loading": lambda seen: replace(seen, server=without(seen.server, 2, VersionView(LOADING))),
    "both loaded": lambda seen: replace(
        seen, server=ServerView({1: VersionView(AVAILABLE), 2: VersionView(AVAILABLE)}, seen.server.labels)
    ),
    "no labels": lambda seen: replace(seen, server=replace(seen.server, labels={})),
    "stable moved away": lambda seen: replace(seen, server=replace(seen.server, labels={"stable": 7})),
    "no traffic file": lambda seen: replace(seen, split=None),
    "traffic to the canary": lambda seen: replace(seen, split=TrafficSplit({"canary": 100.0})),
    "abort": lambda seen: replace(seen, request="abort"),
    "another process serves": lambda seen: replace(seen, ended=True),
    "the old version loads again": lambda seen: replace(
        seen, coming=True, server=without(seen.server, 1, VersionView(LOADING)), silent_for=2.0
    ),
    "pause": lambda seen: replace(seen, request="pause"),
    "much later": lambda seen: replace(seen, now=seen.now + 1e4),
}


def moments(simulated):
    """Yield (phase, plan, observation, history) for each intention of a rollout that is done and of one that is not."""
    for answers in ([], [Verdict.PASS, Verdict.FAIL]):
        sim = simulated.Simulation()
        sim.gate.answers = list(answers)
        sim.start()
        while sim.controller.history.finished is None:
            done = len(sim.log.events)
            seen, before = sim.controller.observe(), sim.controller.history
            sim.tick()
            for event in sim.log.events[done : done + 1]:
                yield event.action or event.kind, sim.plan, seen, before
                if event.kind == "intend":
                    yield event.action, sim.plan, seen, before.after(event)


@pytest.fixture(scope="module")
def table(simulated):
    return list(moments(simulated))


def test_the_table_has_every_phase(table):
    assert {phase for phase, *_ in table} >= set(PHASES)


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_rules_that_always_hold(table, observation):
    for phase, plan, seen, past in table:
        odd = OBSERVATIONS[observation](seen)
        action = decide(plan, odd, past)
        where = f"{phase}, {observation}: {action}"

        if isinstance(action, Apply):
            assert len(action.versions) <= 2, where
            assert set(action.labels.values()) <= set(action.versions), where
            if odd.server is not None:
                for label, version in action.labels.items():
                    assert odd.server.available(version), f"{where}: {label} would point at an unloaded version"
        if isinstance(action, SetTraffic | RestoreTraffic):
            assert sum(action.weights.values()) == pytest.approx(100.0), where
        if isinstance(action, RestoreTraffic):
            assert "canary" not in action.weights, where
        if isinstance(action, SetTraffic):
            assert odd.server.labels.get("canary") == 2, where
        if isinstance(action, Wait):
            assert 0 < action.seconds <= 1.0, where
        if isinstance(action, Withdraw):
            assert past.reason is None, where
        if past.reason is not None:  # nothing leads to promotion any more
            assert action_name(action) in (*("isolate", "calm", "restore", "unload", "revive", "wait", "finish"),), (
                where
            )
        if isinstance(action, Finish) and action.status is RolloutStatus.DONE:
            assert odd.server.labels.get("stable") == 2, where


@pytest.mark.parametrize(
    ("phase", "observation", "expected"),
    [
        ("preflight", "as it is", "preflight"),
        ("preflight", "abort", "withdraw"),
        ("load", "server silent", "wait"),
        ("load", "server silent for long", "withdraw"),
        ("smoke", "new version failed", "withdraw"),
        ("label", "new version gone", "withdraw"),
        ("weigh", "old version gone", "withdraw"),
        ("weigh", "process ended", "withdraw"),
        ("weigh", "stable moved away", "finish"),
        ("judge", "no traffic file", "weigh"),
        ("judge", "pause", "finish"),
        ("promote", "abort", "withdraw"),
        ("promote", "stable moved away", "finish"),
        ("retire", "abort", "retire"),
        ("retire", "process ended", "revive"),
        ("unload", "process ended", "revive"),
        ("unload", "old version gone", "restore"),
        ("unload", "traffic to the canary", "calm"),
    ],
)
def test_what_comes_next(table, phase, observation, expected):
    decided = [
        action_name(decide(plan, OBSERVATIONS[observation](seen), past))
        for name, plan, seen, past in table
        if name == phase and (phase not in ("retire", "unload") or phase in past.intended)
    ]

    assert decided
    assert set(decided) == {expected}


@pytest.mark.parametrize(
    ("judged_at", "due"),
    [
        (None, 107.0),  # the first time after check_every
        (104.0, 110.0),  # not beyond the end of the bake
        (101.0, 108.0),
        (110.0, 111.0),  # after the bake every second
    ],
)
def test_gates_are_asked_every_so_often_and_at_the_end_of_the_bake(judged_at, due):
    plan = RolloutPlan("m", 1, 2, bake=10.0, check_every=7.0, poll=0.2)
    assert _due(plan, History(step_at=100.0, judged_at=judged_at), baked=110.0) == due


def test_a_bake_shorter_than_check_every_is_judged_at_its_end():
    plan = RolloutPlan("m", 1, 2, bake=3.0, check_every=7.0)
    assert _due(plan, History(step_at=100.0), baked=103.0) == 103.0
