# SPDX-License-Identifier: Apache-2.0
"""Rollouts on the embedded server, with requests all the time."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from support import rollout_scenarios
from tfs_deploy import protos
from tfs_deploy.errors import LockedError, ModelError, UsageError, VerdictError
from tfs_deploy.launch.embedded.record import running_server
from tfs_deploy.launch.up import down, up
from tfs_deploy.rollout import GateVerdict, Rollout, Status, Verdict
from tfs_deploy.rollout.adapters.deployed_server import SystemClock
from tfs_deploy.rollout.machine.actions import Finish, Wait
from tfs_deploy.state.lock import lock


def test_a_rollout_and_a_rollback_under_load_fail_no_request(zoo):
    rollout_scenarios.a_rollout_and_a_rollback_under_load(zoo)


def truncated(zoo) -> None:
    folder = zoo.add(3, like=2, answers=np.zeros(3))
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12")


def with_an_op_that_nobody_has(zoo) -> None:
    file = zoo.add(3, like=2, answers=np.zeros(3)) / "saved_model.pb"
    model = protos.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].graph_def.node.add(name="odd", op="NoSuchOp")
    file.write_bytes(model.SerializeToString())


def wrong_values(zoo) -> None:
    zoo.add(3, like=2, answers=np.array([2.5, 3.0, 0.5]))


def without_goldens(zoo) -> None:
    zoo.add(3, like=2)


def damaged_goldens(zoo) -> None:
    folder = zoo.add(3, like=2, answers=np.zeros(3))
    (folder / "assets.extra" / "goldens" / "tensors.npz").write_bytes(b"PK nonsense")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (truncated, "preflight: "),
        (with_an_op_that_nobody_has, "version 3 failed to load: "),
        (wrong_values, "smoke: zoo version 3, grpc serving_default: failed: output 'y' at [0]: 3.5 instead of 2.5"),
        (without_goldens, "preflight: version 3 has no recorded answers"),
        (damaged_goldens, "preflight: "),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_bad_version_is_stopped_and_no_request_notices(zoo, consumers, spoil, reason):
    spoil(zoo)
    with consumers(zoo) as load, pytest.raises(VerdictError) as caught:
        Rollout(zoo.deployment, "zoo", to=3, bake=0.2, ignore_lint=True).run()

    assert reason in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 1
    assert load.failures == []
    assert set(load.answers) == {1}
    assert zoo.served() == ({"stable": 1}, [1])


class Deny:
    """A gate that says no at a weight."""

    name = "business"

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def judge(self, step):
        verdict = Verdict.FAIL if step.weight == self.weight else Verdict.PASS
        return GateVerdict(self.name, verdict, f"revenue at {step.weight:g} %")


@pytest.mark.parametrize("weight", [10, 100])
def test_a_gate_that_says_no_sends_everything_back(zoo, consumers, weight):
    with consumers(zoo) as load:
        result = Rollout(zoo.deployment, "zoo", to=2, steps=(10, 100), bake=0.3, gates=[Deny(weight)]).run(check=False)
        before = load.answers[2]
        rest = load.stats.window(0, float("inf"))["stable"].requests
        while load.stats.window(0, float("inf"))["stable"].requests < rest + 50:
            SystemClock().sleep(0.01)

    assert result.status is Status.ROLLED_BACK
    assert result.reason == f"step {weight} %: business gate: revenue at {weight} %"
    assert result.steps[-1].verdict is Verdict.FAIL
    assert load.failures == []
    assert load.answers[2] == before  # not one answer of the new version after the end
    assert zoo.served() == ({"stable": 1}, [1])


def test_what_cannot_be_rolled_out_is_refused_before_anything_is_touched(zoo):
    with pytest.raises(ModelError, match="has no version 7"):
        Rollout(zoo.deployment, "zoo", to=7).run()
    with pytest.raises(UsageError, match="is already stable"):
        Rollout(zoo.deployment, "zoo", to=1).run()
    with pytest.raises(UsageError, match="has no model 'zo'") as caught:
        Rollout(zoo.deployment, "zo")
    assert caught.value.hint == "did you mean 'zoo'?"
    with pytest.raises(UsageError, match="no unfinished rollout"):
        Rollout.abort(zoo.deployment, "zoo").run()
    with lock(zoo.state_dir, "up"), pytest.raises(LockedError, match="up"):
        Rollout(zoo.deployment, "zoo", to=2).run()

    assert not (zoo.state_dir / "rollouts").exists()


def half_way(rollout: Rollout, percent: float) -> None:
    """Tick until the canary gets ``percent`` of the traffic, then forget the rollout as a killed process does."""
    lines: list[str] = []
    rollout.on_event = lines.append
    with rollout:
        while f"{percent:g} % of the traffic goes to canary" not in lines:
            action = rollout.tick()
            assert not isinstance(action, Finish), action
            if isinstance(action, Wait):
                SystemClock().sleep(action.seconds)


def test_an_unfinished_rollout_is_taken_up_again(zoo):
    half_way(Rollout(zoo.deployment, "zoo", to=2, steps=(10, 50, 100), bake=0.2), 50)
    assert zoo.served() == ({"stable": 1, "canary": 2}, [1, 2])
    zoo.add(3, like=2, answers=np.zeros(3))
    with pytest.raises(UsageError, match="from version 1 to 2 is unfinished"):
        Rollout(zoo.deployment, "zoo", to=3).run()

    result = Rollout(zoo.deployment, "zoo", to=2).run()

    assert [step.weight for step in result.steps] == [10, 50, 100]
    assert zoo.served() == ({"stable": 2}, [2])


def test_an_unfinished_rollout_can_be_aborted(zoo):
    half_way(Rollout(zoo.deployment, "zoo", to=2, steps=(10, 50, 100), bake=0.2), 50)

    result = Rollout.abort(zoo.deployment, "zoo").run(check=False)

    assert (result.status, result.reason) == (Status.ROLLED_BACK, "an abort was requested")
    assert zoo.served() == ({"stable": 1}, [1])


def test_a_server_that_dies_is_started_again_with_the_old_version(zoo):
    def kill(line: str) -> None:
        if line == "10 % of the traffic goes to canary":
            os.kill(running_server(zoo.state_dir).pid, signal.SIGKILL)

    result = Rollout(zoo.deployment, "zoo", to=2, steps=(10, 100), bake=200).run(on_event=kill, check=False)

    assert result.status is Status.ROLLED_BACK
    assert result.reason == "the server's process ended while version 2 was being rolled out"
    assert zoo.served() == ({"stable": 1}, [1])
    assert result.seconds < 150


def test_a_server_that_was_started_by_somebody_else_is_waited_for(zoo):
    rollout = Rollout(zoo.deployment, "zoo", to=2, steps=(10, 100), bake=30, outage=0.3, patience=60)
    lines: list[str] = []
    rollout.on_event = lines.append
    with rollout:
        while "10 % of the traffic goes to canary" not in lines:
            rollout.tick()
        down(zoo.deployment)  # no record is left, so nobody knows how to start it again
        while "unload failed" not in "\n".join(lines):
            action = rollout.tick()
            SystemClock().sleep(0.05 if isinstance(action, Wait) else 0)
        up(zoo.deployment)  # from the files as the rollout left them
        while not isinstance(action := rollout.tick(), Finish):
            SystemClock().sleep(0.05)

    assert action.status is Status.ROLLED_BACK
    assert action.reason.startswith("no answer for ")
    assert zoo.served() == ({"stable": 1}, [1])


def test_what_a_rollout_left_is_what_the_next_start_of_the_server_serves(zoo):
    Rollout(zoo.deployment, "zoo", to=2, steps=(100,), bake=0, keep_old=True, keep_canary=True).run()
    down(zoo.deployment)

    up(zoo.deployment)

    assert zoo.served() == ({"stable": 2, "canary": 2}, [1, 2])
