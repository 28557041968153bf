# SPDX-License-Identifier: Apache-2.0
"""How a rollout begins: from what is served, to what is on disk."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tfs_deploy.deployment.deployment import Deployment, Model, VersionPolicy
from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.begin import ServedState, new_plan, previous_version, unfinished_error
from tfs_deploy.rollout.controller.journal import Journal
from tfs_deploy.rollout.machine.actions import RolloutStatus
from tfs_deploy.rollout.machine.history import Event
from tfs_deploy.rollout.machine.observation import AVAILABLE, ServerView, VersionView
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.rollout.machine.timing import timing


@pytest.fixture
def model(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "saved_model.pb").touch()
    return SimpleNamespace(name="m", base_path=tmp_path, labels={}, store=None, version_policy=VersionPolicy.latest())


def served(version: int, **labels: int) -> ServedState:
    return ServedState(ServerView({version: VersionView(AVAILABLE)}, labels), version, {}, {"stable": 100.0})


def test_the_newest_version_on_disk_is_rolled_out_by_default(model):
    plan = new_plan(model, None, served(1, stable=1), {})

    assert (plan.old, plan.new) == (1, 2)


@pytest.mark.parametrize(
    ("loaded", "others", "leaving", "told"),
    [
        ((1,), {}, (), ""),
        ((1, 2), {}, (), ""),
        ((1, 2, 3), {"exp": 3}, (), ""),
        ((1, 3), {}, (3,), "version 3, which has no label, is unloaded"),
        ((1, 2, 3, 4), {"exp": 4}, (3,), "version 3, which has no label, is unloaded"),
        ((1, 4, 3), {}, (3, 4), "versions 3, 4, which have no label, are unloaded"),
    ],
)
def test_versions_that_nobody_named_are_said_to_leave(model, loaded, others, leaving, told):
    view = ServerView({number: VersionView(AVAILABLE) for number in loaded}, {"stable": 1, **others})
    plan = new_plan(model, 2, ServedState(view, 1, others, {"stable": 100.0}), {})

    assert (plan.leaving, plan.told_leaving()) == (leaving, told)
    assert (told in timing(plan).phases[1].what) is True


def test_a_server_that_loads_the_newest_version_by_itself_leaves_nothing_to_roll_out(model):
    with pytest.raises(
        UsageError, match="has loaded version 2 of m on its own: its version policy is not specific"
    ) as caught:
        new_plan(model, 2, served(2), {})
    assert "pin the version" in caught.value.hint

    with pytest.raises(UsageError, match="version 2 of m is already stable"):
        new_plan(model, 2, served(2, stable=2), {})


STABLE_AGAIN = "version {} of m is already stable again: the last rollout rolled back from {}"
DONE, SENT_BACK = RolloutStatus.DONE, RolloutStatus.ROLLED_BACK
#: rollouts so far (from, to, end; a rollback if the third word is ``back``), what is stable -> where a rollback goes,
#: or what it says and whether it offers a version that is further back
BACKS = {
    "never rolled out: the next lower one": ([], 3, 2),
    "promoted: the one before, not the next lower": ([(1, 3, DONE)], 3, 1),
    "promoted after a rollback": ([(1, 2, DONE), (2, 1, "back"), (1, 3, DONE)], 3, 1),
    "promoted again after a rollback": ([(1, 2, DONE), (2, 1, "back"), (1, 2, DONE)], 2, 1),
    "moved by hand since": ([(1, 2, DONE), (2, 1, "back")], 3, 2),
    "rolled back a moment ago": (
        [(1, 2, DONE), (2, 1, "back")],
        1,
        (STABLE_AGAIN.format(1, 2), None),
    ),
    "two promotions, one rollback": (
        [(1, 2, DONE), (2, 3, DONE), (3, 2, "back")],
        2,
        (STABLE_AGAIN.format(2, 3), 1),
    ),
    "a rollout that failed": (
        [(1, 2, DONE), (2, 3, SENT_BACK)],
        2,
        (STABLE_AGAIN.format(2, 3), 1),
    ),
    "a rollout that preflight refused": (
        [(1, 2, DONE), (2, 3, SENT_BACK, "refused")],
        2,
        ("version 2 of m is still stable: the last rollout, to 3, was refused", 1),
    ),
    "a rollback that failed may be tried again": ([(1, 2, DONE), (2, 1, SENT_BACK, "back")], 2, 1),
    "the first version of all": ([], 1, ("m has no version before 1", None)),
}


@pytest.mark.parametrize("name", BACKS)
def test_a_rollback_never_brings_back_what_was_just_left(model, tmp_path, name):
    rollouts, current, expected = BACKS[name]
    (model.base_path / "3").mkdir()
    (model.base_path / "3" / "saved_model.pb").touch()
    deployment = SimpleNamespace(state_dir=tmp_path / "state", source="m.yaml", models=(model,))
    for old, new, *end in rollouts:
        journal = Journal.create(deployment.state_dir, "m")
        status = end[0] if isinstance(end[0], RolloutStatus) else DONE
        journal.append(Event("start", detail={"plan": RolloutPlan("m", old, new, back="back" in end).as_dict()}))
        refused = {"refused": True} if "refused" in end else {}
        journal.append(Event("finish", detail={"status": status.value, "reason": "", **refused}))

    if isinstance(expected, int):
        assert previous_version(deployment, model, current) == expected
        return
    with pytest.raises(UsageError, match=expected[0]) as caught:
        previous_version(deployment, model, current)
    further = f"to go back further: tfs-deploy rollback m.yaml --model m --to {expected[1]}"
    assert (caught.value.hint == further) == (expected[1] is not None)


@pytest.mark.parametrize(("models", "named"), [(["m"], "shop.yaml"), (["m", "other"], "shop.yaml --model m")])
def test_a_hint_names_the_model_where_the_file_has_several(tmp_path, models, named):
    of_file = tuple(Model(name, tmp_path / name, VersionPolicy.latest()) for name in models)
    error = unfinished_error(Deployment("shop", Path("shop.yaml"), tmp_path, of_file), RolloutPlan("m", 1, 2), 3)
    assert error.hint == f"tfs-deploy rollout resume {named}, or rollout abort {named}"
