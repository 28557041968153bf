# SPDX-License-Identifier: Apache-2.0
"""Plans: steps, times, weights, and what cannot be carried out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.controller.hooks import RolloutHooks
from tfs_deploy.rollout.gates.registry import make_gate, parse_gate
from tfs_deploy.rollout.gates.spec import GateSources
from tfs_deploy.rollout.machine.plan import RolloutPlan, checked
from tfs_deploy.rollout.machine.preconditions import option_values
from tfs_deploy.rollout.machine.strategies import parse_steps
from tfs_deploy.rollout.notation import parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10.0),
        ("0", 0.0),
        ("10s", 10.0),
        ("500ms", 0.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1.5 s", 1.5),
        ("7d", 604800.0),
    ],
)
def test_times(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "10x", "s", "1m-", "inf", "nan", "5 minutes"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match="is not a valid time"):
        parse_seconds(text)


def test_steps():
    assert parse_steps("5, 25%,50,100") == (5.0, 25.0, 50.0, 100.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "are not numbers"),
        ("5,x", "are not numbers"),
        ("0,100", "outside 0 to 100"),
        ("50,101", "outside 0 to 100"),
        ("nan,100", "outside 0 to 100"),
        ("50,25,100", "do not rise"),
        ("50,50,100", "do not rise"),
        ("5,50", "do not end with 100"),
    ],
)
def test_steps_that_make_no_sense(text, message):
    with pytest.raises(UsageError, match=message):
        parse_steps(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"new": 1}, "version 1 of digits is already stable"),
        ({"steps": (5.0,)}, "do not end with 100"),
        ({"bake": -1.0}, "bake is -1.0"),
        ({"drain": float("nan")}, "drain is nan"),
        ({"fail_after": 0}, "at least 1"),
        ({"on_too_few": "shrug"}, "'fail' or 'pause'"),
        ({"canary": "stable"}, "same label 'stable'"),
    ],
)
def test_plans_that_cannot_be_carried_out(changes, message):
    with pytest.raises(UsageError, match=message) as caught:
        checked(RolloutPlan(**{"model": "digits", "old": 1, "new": 2, **changes}))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("changes", "comparable"),
    [
        ({}, True),
        ({"steps": ()}, True),
        ({"steps": (100.0,)}, False),
        ({"strategy": "blue-green", "steps": (100.0,)}, False),
        ({"strategy": "shadow", "steps": (100.0,)}, True),
        ({"strategy": "ab", "steps": (50.0,)}, True),
    ],
)
def test_stable_can_be_compared_with_if_it_gets_requests_beside_the_canary(changes, comparable):
    assert RolloutPlan(**{"model": "digits", "old": 1, "new": 2, **changes}).comparable is comparable


STEPS = st.lists(st.floats(0.01, 99.9), max_size=5, unique=True).map(lambda steps: (*sorted(steps), 100.0))


@given(STEPS, st.sampled_from([{}, {"vip": 20.0}, {"vip": 12.5, "beta": 50.0}]))
def test_weights_sum_to_100_and_leave_others_alone(steps, side):
    plan = checked(RolloutPlan("digits", 1, 2, steps=steps, side_traffic=side))

    for step in range(len(steps)):
        weights = plan.split(step).weights
        assert sum(weights.values()) == pytest.approx(100.0, abs=1e-9)
        assert all(weight > 0 for weight in weights.values())
        assert {label: weights[label] for label in side} == side
    assert sum(plan.safe_split().weights.values()) == pytest.approx(100.0)
    assert "canary" not in plan.safe_split().weights


@given(STEPS)
def test_a_plan_survives_its_journal(steps):
    plan = RolloutPlan("digits", 1, 2, steps=steps, others={"vip": 1}, keep_old=True)

    document = json.loads(json.dumps({**plan.as_dict(), "of a newer program": 1}))

    assert RolloutPlan.from_dict(document) == plan


def test_gates_are_texts_in_the_journal_and_values_in_the_plan():
    texts = ["errors = 0.02", "p99=1.5x", "command=./kpi.sh :: $.ctr >= 0.1"]
    plan = RolloutPlan("digits", 1, 2, gates=tuple(map(parse_gate, texts)))

    document = json.loads(json.dumps(plan.as_dict()))

    assert document["gates"] == texts
    assert RolloutPlan.from_dict(document) == plan
    assert [spec.kind for spec in plan.gates] == ["errors", "p99", "command"]


def test_a_gate_of_another_program_version_can_be_read_but_not_made():
    document = {**RolloutPlan("digits", 1, 2).as_dict(), "gates": ["mood=good"]}

    plan = RolloutPlan.from_dict(document)

    assert plan.as_dict()["gates"] == ["mood=good"]
    with pytest.raises(UsageError, match="unknown gate: mood"):
        make_gate(plan.gates[0], GateSources())


def test_flags_keep_the_names_that_journals_have_though_a_plan_says_the_opposite():
    plan = RolloutPlan("zoo", 1, 2, ignore_lint=True)
    written = plan.as_dict()
    assert (written["need_clean"], written["need_goldens"]) == (False, True)
    assert "ignore_lint" not in written
    assert RolloutPlan.from_dict(written) == plan
    assert option_values({"need_memory": False, "need_warmup": True}) == {
        "ignore_memory": True,
        "allow_missing_warmup": False,
    }


def test_hooks_and_replicas_are_values_that_a_journal_holds_as_they_were_written():
    hooks = ("before:promote=./check.sh --min 3", "after:step=http://x:80/?a=b")
    replicas = ("10.0.0.1:8500", "host:8500/8501", "[::1]:8500")
    options = option_values({"hooks": hooks, "replicas": replicas, "notify": [" ./tell.sh "]})
    plan = RolloutPlan("digits", 1, 2, **options)

    assert [(hook.when, hook.phase) for hook in plan.hooks] == [("before", "promote"), ("after", "step")]
    assert [replica.rest for replica in plan.replicas] == [None, "host:8501", None]
    written = plan.as_dict()
    assert (written["hooks"], written["replicas"], written["notify"]) == ([*hooks], [*replicas], ["./tell.sh"])
    assert RolloutPlan.from_dict(written) == plan
    for name, text in (("hooks", "before:nowhere=true"), ("replicas", "nowhere")):
        with pytest.raises(UsageError):
            option_values({name: [text]})


def test_a_hook_of_a_later_program_is_refused_when_it_is_set_up_not_when_it_is_read():
    written = RolloutPlan("digits", 1, 2).as_dict() | {"hooks": ["during:step=./new.sh"]}
    (hook,) = RolloutPlan.from_dict(written).hooks

    assert str(hook) == "during:step=./new.sh"
    with pytest.raises(UsageError, match="not a valid hook"):
        RolloutHooks([hook], [])
