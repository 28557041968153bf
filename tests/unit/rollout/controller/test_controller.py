# SPDX-License-Identifier: Apache-2.0
"""Whole rollouts against a simulated server with the real one's rules."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from tfs_deploy.errors import EnvironmentFault, FailedPreconditionError, UnavailableError
from tfs_deploy.rollout.check_result import CheckResult
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.machine.actions import RolloutStatus
from tfs_deploy.rollout.machine.observation import AVAILABLE, END, LOADING, VersionView

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW


def test_a_good_version_is_promoted_step_by_step(simulated):
    sim = simulated.Simulation()
    sim.start()

    end = sim.run()

    assert end.status is RolloutStatus.DONE
    assert sim.actions() == [
        *("preflight", "load", "smoke", "label"),
        *("weigh", "judge", "weigh", "judge", "weigh", "judge"),
        *("promote", "calm", "retire"),
    ]
    assert sim.server.labels == {"stable": 2}
    assert sim.loaded == [2]
    assert sim.traffic.written == [
        {"stable": 95.0, "canary": 5.0},
        {"stable": 50.0, "canary": 50.0},
        {"canary": 100.0},
        {"stable": 100.0},
    ]
    assert sim.server.complaints == []


def test_the_version_is_loaded_and_labelled_in_separate_reloads(simulated):
    sim = simulated.Simulation()
    sim.start()
    sim.run()

    assert sim.server.applied == [
        ((1, 2), {"stable": 1}),
        ((1, 2), {"stable": 1, "canary": 2}),
        ((1, 2), {"stable": 2, "canary": 2}),
        ((2,), {"stable": 2}),
    ]


def test_the_old_version_and_the_canary_label_are_kept_on_request(simulated):
    sim = simulated.Simulation(keep_old=True, keep_canary=True)
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sorted(sim.loaded) == [1, 2]
    assert sim.server.labels == {"stable": 2, "canary": 2}


def test_a_rollout_without_steps_switches_directly(simulated):
    sim = simulated.Simulation(steps=())
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.actions() == ["preflight", "load", "smoke", "promote", "calm", "retire"]


def test_labels_and_traffic_of_others_are_left_alone(simulated, monkeypatch):
    applied = []
    apply = simulated.Server.apply
    monkeypatch.setattr(
        simulated.Server, "apply", lambda server, *config: (applied.append(config[1]), apply(server, *config))
    )
    sim = simulated.Simulation(others={"vip": 1}, side_traffic={"vip": 20.0}, steps=(50.0, 100.0))
    sim.server.file = ((1,), {"stable": 1, "vip": 1})
    sim.server.labels = {"stable": 1, "vip": 1}
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.traffic.written[0] == {"stable": 40.0, "canary": 40.0, "vip": 20.0}
    assert sim.server.labels == {"stable": 2, "vip": 1}
    assert len(applied) >= 4  # load, label, promote, retire
    assert all(labels["vip"] == 1 for labels in applied)
    assert sorted(sim.loaded) == [1, 2]


STOPS = {
    "preflight": (
        lambda sim: setattr(sim.checks, "preflight_result", CheckResult(ok=False, reason="damaged")),
        "damaged",
    ),
    "load": (lambda sim: sim.server.broken.update({2: "no such op"}), "version 2 failed to load: no such op"),
    "smoke": (lambda sim: setattr(sim.checks, "smoke_result", CheckResult(ok=False, reason="off by 1")), "off by 1"),
    "first step": (lambda sim: sim.gate.answers.append(FAIL), "step 5 %: scripted gate: said fail"),
    "later step": (lambda sim: sim.gate.answers.extend([PASS, FAIL]), "step 50 %: scripted gate: said fail"),
    "last step": (lambda sim: sim.gate.answers.extend([PASS, PASS, FAIL]), "step 100 %: scripted gate: said fail"),
    "label refused": (
        lambda sim: sim.server.refusals.extend([None, FailedPreconditionError("not available for inference")]),
        "not available for inference",
    ),
    "never enough samples": (lambda sim: sim.gate.answers.extend([FEW] * 1000), "too few samples"),
}


@pytest.mark.parametrize("stop", STOPS)
def test_a_bad_version_is_stopped_and_stable_stays(simulated, stop):
    prepare, reason = STOPS[stop]
    sim = simulated.Simulation()
    prepare(sim)
    if None in sim.server.refusals:
        sim.server.refusals.remove(None)
        sim.checks.on_smoke = lambda refusals=sim.server.refusals[:]: sim.server.refusals.extend(refusals)
        sim.server.refusals.clear()
    sim.start()

    end = sim.run()

    assert end.status is RolloutStatus.ROLLED_BACK
    assert reason in end.reason
    assert "\n" not in end.reason
    assert sim.server.labels == {"stable": 1}
    assert sim.loaded == [1]
    assert sim.traffic.weights == {"stable": 100.0}
    assert sim.server.complaints == []
    assert sim.server.file == ((1,), {"stable": 1})


def test_a_preflight_that_fails_touches_nothing(simulated):
    sim = simulated.Simulation()
    sim.checks.preflight_result = CheckResult(ok=False, reason="no goldens")
    sim.traffic.weights = None
    sim.start()

    end = sim.run()
    assert (end.status, end.refused, end.reason) == (RolloutStatus.ROLLED_BACK, True, "preflight: no goldens")
    assert sim.actions() == ["preflight"]
    assert sim.server.applied == []
    assert sim.traffic.written == []


def test_the_canary_label_answers_with_the_old_version_before_the_traffic_file_changes(simulated):
    sim = simulated.Simulation()
    sim.gate.answers = [PASS, FAIL]
    sim.start()
    sim.run()

    actions = sim.actions()
    assert actions[-4:] == ["withdraw", "isolate", "calm", "unload"]
    assert ((1, 2), {"stable": 1, "canary": 1}) in sim.server.applied


def test_too_few_samples_pause_on_request_and_resume_goes_on(simulated):
    sim = simulated.Simulation(on_too_few="pause", samples_timeout=5.0)
    sim.gate.answers = [FEW] * 1000
    sim.start()
    assert sim.run().status is RolloutStatus.PAUSED
    assert sim.traffic.weights == {"stable": 95.0, "canary": 5.0}

    sim.gate.answers.clear()
    sim.resume()

    assert sim.run().status is RolloutStatus.DONE


def lose_the_old_version(sim) -> None:
    """Its directory is gone, and the server has unloaded it for that; the label stays, as on the real server."""
    sim.checks.gone[1] = "models/digits/1"
    sim.server.versions[1], sim.server.wanted = VersionView(END), (2,)


def find_it_again(sim) -> None:
    sim.checks.gone.clear()
    sim.server.versions[1], sim.server.wanted = VersionView(AVAILABLE), (1, 2)


@pytest.mark.parametrize("verdict", [PASS, FAIL])
def test_what_is_loaded_serves_on_when_the_files_of_stable_are_gone(simulated, verdict):
    sim = simulated.Simulation(bake=30.0)
    sim.gate.answers = [PASS]
    sim.start()
    while "judge" not in sim.controller.history.applied:
        sim.tick()
    reloads = len(sim.server.applied)
    sim.gate.answers = [verdict] * 100
    lose_the_old_version(sim)

    end = sim.run()

    assert end.status is RolloutStatus.PAUSED
    assert end.reason == (
        "all its requests go to canary; version 1, which is stable, was unloaded because its directory models/digits/1 "
        "is gone: put it back, then rollout resume; or rollout promote --skip-steps makes version 2 stable"
    )
    assert sim.traffic.weights == {"canary": 100.0}
    assert sim.server.labels == {"stable": 1, "canary": 2}
    assert len(sim.server.applied) == reloads  # any reload would only drop the label

    find_it_again(sim)
    sim.gate.answers.clear()
    sim.resume()
    assert sim.run().status is RolloutStatus.DONE


def test_a_person_can_promote_when_the_files_of_stable_are_gone(simulated):
    sim = simulated.Simulation(bake=30.0)
    sim.start()
    while "weigh" not in sim.controller.history.applied:
        sim.tick()
    lose_the_old_version(sim)
    assert sim.run().status is RolloutStatus.PAUSED
    sim.resume()
    assert sim.run().status is RolloutStatus.PAUSED
    sim.resume()
    sim.mailbox.request = "promote-now"

    assert sim.run().status is RolloutStatus.DONE
    assert (sim.server.labels, sim.traffic.weights) == ({"stable": 2}, {"stable": 100.0})


def test_a_way_back_whose_end_is_gone_takes_no_label_and_no_traffic(simulated):
    sim = simulated.Simulation()
    sim.gate.answers = [PASS, FAIL]
    sim.start()
    while "withdraw" not in sim.controller.history.applied:
        sim.tick()
    lose_the_old_version(sim)

    end = sim.run()

    assert end.status is RolloutStatus.PAUSED
    assert "said fail; but version 1, which is stable, was unloaded" in end.reason
    assert sim.server.labels["stable"] == 1
    assert sim.traffic.weights == {"stable": 50.0, "canary": 50.0}


def test_a_lost_old_version_does_not_matter_once_the_new_one_is_stable(simulated):
    sim = simulated.Simulation(keep_warm=30.0)
    sim.start()
    while "calm" not in sim.controller.history.applied:
        sim.tick()
    lose_the_old_version(sim)

    assert sim.run().status is RolloutStatus.DONE


class SparseGate:
    """Never gets enough requests; ``sparse``: as gates on requests say it, not as one whose source is silent does."""

    name = "p99"

    def __init__(self, *, sparse: bool) -> None:
        self.sparse = sparse
        self.judged = 0

    def judge(self, step):
        self.judged += 1
        return GateVerdict(self.name, FEW, "not enough requests of canary (120 of 500)", sparse=self.sparse)


@pytest.mark.parametrize(
    ("on_too_few", "sparse", "status"),
    [
        ("fail", True, RolloutStatus.ROLLED_BACK),
        ("pause", True, RolloutStatus.PAUSED),
        ("pass", True, RolloutStatus.DONE),
        ("pass", False, RolloutStatus.ROLLED_BACK),  # a source that does not answer never passes
    ],
)
def test_what_too_few_requests_lead_to_is_the_callers_choice(simulated, on_too_few, sparse, status):
    sim = simulated.Simulation(steps=(100.0,), bake=2.0, samples_timeout=5.0, on_too_few=on_too_few)
    gate = SparseGate(sparse=sparse)
    sim.world = replace(sim.world, gates=[gate])
    sim.start()

    assert sim.run().status is status
    judged = [event for event in sim.log.events if event.action == "judge" and event.kind == "outcome"]
    assert judged[-1].mono - judged[0].mono >= 4.0  # it waited first
    last = judged[-1].detail["verdicts"][-1]
    assert last["verdict"] == ("not judged" if status is RolloutStatus.DONE else "too few samples")
    assert last["reason"] == "not enough requests of canary (120 of 500)"


def test_one_failing_verdict_of_two_allowed_does_not_stop(simulated):
    sim = simulated.Simulation(fail_after=2)
    sim.gate.answers = [FAIL, PASS, FAIL, PASS]
    sim.start()
    assert sim.run().status is RolloutStatus.DONE

    sim = simulated.Simulation(fail_after=2)
    sim.gate.answers = [FAIL, FAIL]
    sim.start()
    assert sim.run().status is RolloutStatus.ROLLED_BACK


def test_a_failure_in_the_middle_of_a_long_bake_stops_at_once(simulated):
    sim = simulated.Simulation(bake=300.0)
    sim.gate.answers = [PASS, PASS, FAIL]
    sim.start()

    end = sim.run()

    assert end.status is RolloutStatus.ROLLED_BACK
    assert sim.server.time < 30.0


def test_a_broken_version_of_an_earlier_try_does_not_condemn_the_next(simulated):
    sim = simulated.Simulation()
    sim.server.versions[2] = VersionView(END, 3, "no space left on device")
    sim.start()

    assert sim.run().status is RolloutStatus.DONE


def test_an_abort_goes_back(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.mailbox.request = "abort"

    end = sim.run()

    assert (end.status, end.reason) == (RolloutStatus.ROLLED_BACK, "an abort was requested")
    assert sim.mailbox.request is None


def test_an_abort_after_the_old_version_was_asked_to_leave_comes_too_late(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "retire" not in sim.actions():
        sim.tick()
    sim.mailbox.request = "abort"

    assert sim.run().status is RolloutStatus.DONE


@pytest.mark.parametrize("after", ["load", "smoke", "label", "weigh", "promote"])
def test_an_abort_after_any_phase_goes_back(simulated, after):
    sim = simulated.Simulation()
    sim.start()
    while after not in sim.actions():
        sim.tick()
    sim.mailbox.request = "abort"

    assert sim.run().status is RolloutStatus.ROLLED_BACK
    assert sim.server.labels == {"stable": 1}
    assert sim.loaded == [1]
    assert sim.server.complaints == []


def test_a_candidate_that_kills_the_server_is_taken_out_of_the_file(simulated):
    sim = simulated.Simulation()
    sim.checks.on_smoke = sim.server.crash
    sim.checks.smoke_result = CheckResult(ok=False, reason="connection reset")
    sim.start()
    while sim.server.file != ((1,), {"stable": 1}) or "withdraw" not in sim.actions():
        sim.tick()
    sim.server.restart()

    end = sim.run()

    assert end.status is RolloutStatus.ROLLED_BACK
    assert sim.loaded == [1]


def test_a_server_that_does_not_come_back_asks_a_human(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.crash()

    end = sim.run()

    assert end.status is RolloutStatus.PAUSED
    assert "connection refused" in end.reason
    assert sim.traffic.weights == {"stable": 100.0}
    assert sim.server.file == ((1,), {"stable": 1})

    sim.server.restart()
    sim.resume()
    assert sim.run().status is RolloutStatus.ROLLED_BACK


@pytest.mark.parametrize("by_engine", [False, True])
@pytest.mark.parametrize("after", ["load", "smoke", "label", "weigh", "promote", "calm"])
def test_a_server_that_ends_is_started_again_with_the_old_version_only(simulated, after, by_engine):
    """Also if an engine is so quick to start it again that no look of the controller falls in between."""
    sim = simulated.Simulation()
    sim.server.has_record = True
    sim.start()
    while after not in sim.actions():
        sim.tick()
    sim.server.crash()
    if by_engine:
        sim.server.restart()
    crashed = sim.server.time

    end = sim.run()

    (outage,) = [event for event in sim.log.events if event.action == "outage"]
    assert outage.detail["who"] == "the server"
    assert 0.0 <= outage.detail["seconds"] < 10

    assert (end.status, end.reason) == (
        RolloutStatus.ROLLED_BACK,
        "the server's process ended while version 2 was being rolled out",
    )
    assert sim.loaded == [1]
    assert sim.server.labels == {"stable": 1}
    assert sim.server.time - crashed < 10
    assert sim.server.complaints == []


@pytest.mark.parametrize("by_engine", [False, True])
def test_a_server_that_ends_after_the_old_version_left_is_started_again_with_the_new(simulated, by_engine):
    sim = simulated.Simulation()
    sim.server.has_record = True
    sim.start()
    while "retire" not in sim.actions():
        sim.tick()
    sim.server.crash()
    if by_engine:
        sim.server.restart()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.loaded == [2]


def test_a_server_that_cannot_be_started_again_asks_a_human(simulated):
    sim = simulated.Simulation(patience=30.0)
    sim.server.has_record = True
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.crash()
    sim.server.broken[1] = "no space left on device"

    end = sim.run()

    assert end.status is RolloutStatus.PAUSED
    assert "server restart keeps failing: the server ended during its start" in end.reason


@pytest.mark.parametrize("after", ["load", "smoke", "label", "weigh", "judge", "promote", "calm", "retire"])
def test_a_short_restart_of_the_server_does_not_matter(simulated, after):
    sim = simulated.Simulation()
    sim.start()
    while after not in sim.actions():
        sim.tick()
    sim.server.crash()
    sim.tick()
    sim.server.restart()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.server.labels == {"stable": 2}
    assert sim.loaded == [2]


@pytest.mark.parametrize(("seconds", "end"), [(5.0, RolloutStatus.DONE), (30.0, RolloutStatus.ROLLED_BACK)])
def test_a_server_that_answers_before_the_old_version_is_loaded_again_is_waited_for(simulated, seconds, end):
    sim = simulated.Simulation(bake=60.0, outage=10.0)
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.versions[1] = VersionView(LOADING)
    sim.server.ready_at[1] = sim.server.time + seconds

    finish = sim.run()

    assert finish.status is end, finish.reason
    if end is RolloutStatus.DONE:
        (outage,) = [event for event in sim.log.events if event.action == "outage"]
        assert outage.detail["who"] == "version 1"
        assert outage.detail["seconds"] == pytest.approx(5.0, abs=1.5)
    else:
        assert finish.reason == "no answer for 10 s: version 1 is LOADING"


def test_promotion_that_fails_after_all_traffic_has_moved_goes_back(simulated):
    sim = simulated.Simulation()
    sim.start()
    while {"canary": 100.0} not in sim.traffic.written:
        sim.tick()
    sim.server.refusals = [FailedPreconditionError("stable is nailed down")]

    end = sim.run()

    assert end.status is RolloutStatus.ROLLED_BACK
    assert end.reason == "promote failed: stable is nailed down"
    assert sim.server.labels == {"stable": 1}
    assert sim.traffic.weights == {"stable": 100.0}


def test_promotion_whose_answer_is_lost_is_noticed(simulated):
    sim = simulated.Simulation()
    sim.start()
    while {"canary": 100.0} not in sim.traffic.written:
        sim.tick()
    sim.server.lost_replies = 1

    assert sim.run().status is RolloutStatus.DONE
    assert sim.actions().count("promote") == 1


def test_a_passing_failure_is_tried_again(simulated):
    sim = simulated.Simulation()
    sim.server.refusals = [UnavailableError("busy"), UnavailableError("busy")]
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.actions().count("load") == 3


def test_a_label_that_somebody_else_moves_pauses_the_rollout(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.versions[7] = VersionView(AVAILABLE)
    sim.server.wanted, sim.server.labels = (1, 2, 7), {"stable": 7, "canary": 2}

    end = sim.run()

    assert end.status is RolloutStatus.PAUSED
    assert end.reason == "label stable points at version 7, which this rollout did not set"


def test_a_deleted_traffic_file_is_written_again(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.traffic.weights = None

    assert sim.run().status is RolloutStatus.DONE
    assert sim.traffic.written[:2] == [{"stable": 95.0, "canary": 5.0}] * 2


def test_weights_of_an_earlier_experiment_do_not_reach_the_new_version_unwatched(simulated):
    sim = simulated.Simulation()
    sim.traffic.weights = {"stable": 50.0, "canary": 50.0}
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    actions = sim.actions()
    assert actions.index("calm") < actions.index("load")
    assert sim.traffic.written[:2] == [{"stable": 100.0}, {"stable": 95.0, "canary": 5.0}]


def test_a_stable_version_that_is_gone_is_loaded_again_before_its_label_moves(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.versions[1] = VersionView(END)
    sim.server.wanted = (2,)

    end = sim.run()

    assert end.status is RolloutStatus.ROLLED_BACK
    assert sim.loaded == [1]
    assert sim.server.labels == {"stable": 1}


def test_a_direct_switch_leaves_a_broken_stable_version(simulated):
    sim = simulated.Simulation(steps=())
    sim.server.versions[1] = VersionView(END, 13, "out of memory")
    sim.server.broken[1] = "out of memory"
    sim.server.wanted = ()
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.server.labels == {"stable": 2}


@pytest.mark.parametrize("outcome", ["done", "rolled back"])
def test_a_controller_killed_at_any_journal_entry_is_resumed(simulated, outcome):
    whole = simulated.Simulation()
    whole.gate.answers = [PASS] if outcome == "done" else [PASS, FAIL]
    whole.start()
    whole.run()
    entries = len(whole.log.events)
    assert entries > 20

    for position in range(1, entries):
        sim = simulated.Simulation()
        sim.gate.answers = [PASS] if outcome == "done" else [PASS, FAIL]
        sim.log.kill_after = position
        with contextlib.suppress(simulated.Killed):
            sim.start()
            sim.run()
        assert len(sim.log.events) == position
        sim.resume()
        end = sim.run()
        # the verdict may have been lost with the process: then the step is judged again, and passes
        assert end.status in (RolloutStatus(outcome), RolloutStatus.DONE), position
        assert sim.server.labels == {"stable": 2 if end.status is RolloutStatus.DONE else 1}, position
        assert sim.server.complaints == [], position


def test_an_experiment_pauses_until_a_human_decides_and_keeps_its_split_meanwhile(simulated):
    sim = simulated.Simulation(strategy="ab", steps=(30.0,))
    sim.start()

    end = sim.run()

    assert (end.status, end.reason) == (
        RolloutStatus.PAUSED,
        "the experiment is over: rollout promote goes on, rollout abort rolls back",
    )
    assert sim.traffic.weights == {"stable": 70.0, "canary": 30.0}
    sim.resume()
    assert sim.run().status is RolloutStatus.PAUSED
    sim.resume()
    sim.mailbox.request = "promote"
    assert sim.run().status is RolloutStatus.DONE
    assert sim.server.labels == {"stable": 2}
    assert sim.server.complaints == []


def test_a_manual_rollout_can_be_approved_before_it_asks(simulated):
    sim = simulated.Simulation(manual=True)
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.mailbox.request = "promote"

    assert sim.run().status is RolloutStatus.DONE
    assert sim.actions().count("weigh") == 3
    assert sim.mailbox.request is None


def test_a_human_can_leave_out_the_steps_that_are_left(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.mailbox.request = "promote-now"

    assert sim.run().status is RolloutStatus.DONE
    assert sim.traffic.written == [{"stable": 95.0, "canary": 5.0}, {"stable": 100.0}]


def test_a_shadow_gets_copies_and_no_request_before_the_promotion(simulated):
    sim = simulated.Simulation(strategy="shadow", steps=(10.0, 100.0))
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.traffic.written == [
        {"stable": 100.0, "copies to canary": 10.0},
        {"stable": 100.0, "copies to canary": 100.0},
        {"stable": 100.0},
    ]
    assert sim.server.complaints == []


def test_copies_of_a_bad_shadow_end_with_it(simulated):
    sim = simulated.Simulation(strategy="shadow", steps=(10.0, 100.0))
    sim.gate.answers = [FAIL]
    sim.start()

    assert sim.run().status is RolloutStatus.ROLLED_BACK
    assert sim.traffic.copies == {}


def test_the_old_version_stays_warm_and_an_abort_meanwhile_is_one_reload(simulated):
    sim = simulated.Simulation(keep_warm=60.0)
    sim.start()
    while "calm" not in sim.actions():
        sim.tick()
    promoted, reloads = sim.server.time, len(sim.server.applied)
    while sim.server.time < promoted + 50:
        sim.tick()
    assert sorted(sim.loaded) == [1, 2]
    sim.mailbox.request = "abort"
    sim.tick()
    sim.tick()

    assert sim.server.labels["stable"] == 1
    assert len(sim.server.applied) == reloads + 1
    assert sim.run().status is RolloutStatus.ROLLED_BACK


def test_the_old_version_leaves_when_it_was_kept_warm_for_long_enough(simulated):
    sim = simulated.Simulation(keep_warm=60.0)
    sim.start()
    while "calm" not in sim.actions():
        sim.tick()
    promoted = sim.server.time

    assert sim.run().status is RolloutStatus.DONE
    assert sim.server.time - promoted >= 60.0
    assert sim.loaded == [2]


def test_old_versions_are_removed_from_the_disk_once_at_the_end(simulated):
    sim = simulated.Simulation(retain=2)
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert sim.actions()[-1] == "prune"
    assert sim.checks.pruned == [(2, 2)]


def test_hooks_run_once_between_phases(simulated):
    sim = simulated.Simulation(steps=(50.0, 100.0))
    sim.start()
    sim.run()

    assert sim.hooks.calls == [
        *("before preflight", "after preflight", "before load", "after load", "before smoke", "after smoke"),
        *("before label", "after label", "before step 50", "after step 50", "before step 100", "after step 100"),
        *("before promote", "after promote", "before settle", "after settle", "before retire", "after retire"),
    ]
    assert sim.hooks.told[0] == "preflight running"
    assert sim.hooks.told[-1] == "retire done"


@pytest.mark.parametrize(
    "objection", ["before preflight", "before load", "after smoke", "before step", "after step", "before promote"]
)
def test_a_hook_that_objects_sends_everything_back(simulated, objection):
    sim = simulated.Simulation()
    sim.hooks.objections[objection] = "not on a Friday"
    sim.start()

    end = sim.run()

    assert end.status is RolloutStatus.ROLLED_BACK
    assert end.reason.endswith("failed: not on a Friday")
    assert sim.server.labels == {"stable": 1}
    assert sim.hooks.told[-1].endswith("rolled back")


def test_going_back_waits_for_no_hook(simulated):
    sim = simulated.Simulation()
    sim.gate.answers = [FAIL]
    sim.hooks.objections.update({"after rollback": "too late", "before rollback": "never asked"})
    sim.start()

    assert sim.run().status is RolloutStatus.ROLLED_BACK
    assert "before rollback" not in sim.hooks.calls
    assert sim.hooks.calls[-1] == "after rollback"
    assert sim.log.events[-1].detail == {"text": "too late"}


def test_a_phase_that_is_done_again_after_a_restart_is_not_entered_again(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.crash()
    sim.tick()
    sim.server.restart()
    sim.run()

    assert sim.hooks.calls.count("before label") == 1
    assert sim.hooks.calls.count("before step 5") == 1


def test_an_outage_is_told(simulated):
    sim = simulated.Simulation()
    sim.server.has_record = True
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.server.crash()
    sim.run()

    notes = [event for event in sim.log.events if (event.kind, event.action) == ("note", "outage")]
    assert len(notes) == 1
    assert 0 < notes[0].detail["seconds"] < 5


def test_memory_is_measured_before_the_first_step(simulated):
    sim = simulated.Simulation()
    sim.server.bytes = 1000
    seen = []
    sim.gate.judge = lambda step: seen.append(step.memory) or GateVerdict("memory", Verdict.PASS)
    sim.start()
    while "judge" not in sim.actions():
        sim.tick()
    sim.server.bytes = 1500
    sim.run()

    assert seen[0] == (1000, 1000)
    assert set(seen[1:]) == {(1000, 1500)}


def test_the_last_room_on_the_disk_is_for_the_way_back(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    sim.log.starved = "the disk is full"

    end = sim.run()

    assert (end.status, end.reason) == (RolloutStatus.ROLLED_BACK, "the disk is full")


def test_without_a_journal_nobody_is_sent_to_the_canary(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()

    def broken(_event):
        raise EnvironmentFault("the journal cannot be written")

    append, sim.log.append = sim.log.append, broken
    with pytest.raises(EnvironmentFault):
        sim.run()

    assert sim.traffic.weights == {"stable": 100.0}
    assert sim.server.labels == {"stable": 1, "canary": 1}
    sim.log.append = append
    sim.resume()
    assert sim.run().status is RolloutStatus.DONE


def test_a_part_of_the_servers_that_is_missing_holds_the_rollout_and_then_ends_it(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    observe = sim.server.observe
    sim.server.observe = lambda labels: replace(observe(labels), missing=("b:8500",))
    since = sim.server.time
    while sim.server.time < since + 9:
        sim.tick()
    assert sim.actions()[-1] == "weigh"

    while "withdraw" not in sim.actions():
        sim.tick()

    assert "b:8500 does not answer" in sim.controller.history.reason


def test_a_label_on_which_servers_disagree_is_set_again(simulated):
    sim = simulated.Simulation()
    sim.start()
    while "weigh" not in sim.actions():
        sim.tick()
    observe = sim.server.observe

    def disagreeing(labels):
        view = observe(labels)
        if sim.actions().count("label") > 1:
            return view
        return replace(view, labels={"stable": 1}, mixed={"canary": frozenset({2})})

    sim.server.observe = disagreeing

    assert sim.run().status is RolloutStatus.DONE
    assert sim.actions().count("label") == 2


def test_a_server_that_dies_before_anything_was_asked_of_it_is_started_again(simulated):
    sim = simulated.Simulation()
    sim.server.has_record = True
    sim.start()
    sim.tick()  # preflight
    sim.server.crash()

    end = sim.run()

    assert (end.status, sim.server.up, sim.loaded) == (RolloutStatus.ROLLED_BACK, True, [1])
    assert "revive" in sim.actions()


def test_an_outage_begins_when_the_answer_that_did_not_come_was_asked_for(simulated):
    sim = simulated.Simulation(bake=30.0, outage=60.0)
    sim.start()
    while sim.traffic.weights.get("canary") is None:
        sim.tick()
    observe = sim.server.observe

    def hang(labels):
        sim.clock.sleep(3.0)  # the time limit of a look
        raise UnavailableError("no answer within 3 s")

    sim.server.observe = hang
    sim.tick()
    sim.server.observe = observe
    sim.tick()

    outage = next(event for event in sim.log.events if event.kind == "note")
    assert outage.detail["seconds"] == pytest.approx(3.0 + sim.plan.poll)


@pytest.mark.parametrize("forward", [True, False])
def test_a_rollout_ends_when_the_last_of_several_servers_has_unloaded(simulated, forward):
    """The second server needs ten looks to let a version go."""
    sim = simulated.FleetSimulation(2)
    sim.gate.answers = [] if forward else [Verdict.FAIL]
    gone = 1 if forward else 2
    slow, looks = sim.servers[1], []
    observe = slow.observe

    def late(labels):
        view = observe(labels)
        if gone in view.versions and view.versions[gone].state == END:
            looks.append(gone)
            if len(looks) < 10:
                return replace(view, versions={**view.versions, gone: VersionView(AVAILABLE)})
        return view

    slow.observe = late
    sim.start()

    end = sim.run()

    assert end.status is (RolloutStatus.DONE if forward else RolloutStatus.ROLLED_BACK)
    assert len(looks) >= 10


def test_gates_are_not_asked_without_a_pause(simulated):
    sim = simulated.Simulation(steps=(100.0,), bake=4.0, check_every=0.0)
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert 2 < sim.actions().count("judge") <= 4.0 / sim.plan.poll + 1


class RemarkingGate:
    """Passes each time, with the same remark."""

    name = "drift"

    def judge(self, step):
        return GateVerdict(self.name, PASS, "compared", remark="only 0% agree")


def test_a_remark_of_a_gate_is_noted_once(simulated):
    sim = simulated.Simulation()
    sim.world = replace(sim.world, gates=[RemarkingGate()])
    sim.start()

    assert sim.run().status is RolloutStatus.DONE
    assert [event.detail["text"] for event in sim.log.events if event.kind == "note"] == ["only 0% agree"]
