"""Random rollouts with random faults: whatever happens, stable serves and every path comes to an end."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tfs_deploy.errors import FailedPreconditionError, UnavailableError
from tfs_deploy.rollout.actions import Finish, Status, Wait
from tfs_deploy.rollout.ports import END, CheckResult, Verdict, VersionView

PLANS = st.fixed_dictionaries(
    {
        "steps": st.sampled_from([(), (100.0,), (5.0, 25.0, 50.0, 100.0), (33.3, 100.0)]),
        "bake": st.sampled_from([0.0, 1.0, 30.0]),
        "fail_after": st.integers(1, 3),
        "on_too_few": st.sampled_from(["fail", "pause"]),
        "keep_old": st.booleans(),
        "keep_canary": st.booleans(),
        "drain": st.sampled_from([0.0, 2.0]),
    }
)
FAULTS = st.sampled_from(
    [
        *("crash", "restart", "traffic deleted", "reload unavailable", "reload refused", "reload without answer"),
        *("new version dies", "killed", "abort", "pause", "clock jumps back"),
    ]
)
RARELY = st.sampled_from([False] * 9 + [True])
SCHEDULES = st.lists(st.tuples(st.integers(0, 60), FAULTS), max_size=4)
GATES = st.lists(st.sampled_from([*[Verdict.PASS] * 8, Verdict.FAIL, Verdict.TOO_FEW]), max_size=30)


def happen(sim, fault: str) -> None:
    server = sim.server
    if fault == "crash":
        server.crash()
    elif fault == "restart":
        server.restart()
    elif fault == "traffic deleted":
        sim.traffic.weights = None
    elif fault == "reload unavailable":
        server.refusals.append(UnavailableError("connection reset"))
    elif fault == "reload refused":
        server.refusals.append(FailedPreconditionError("not available for inference"))
    elif fault == "reload without answer":
        server.lost_replies += 1
    elif fault == "new version dies" and server.up and 2 not in server.labels.values():
        server.versions[2] = VersionView(END, 13, "out of memory")
    elif fault == "killed":
        sim.log.kill_after = len(sim.log.events) + 1
    elif fault in ("abort", "pause"):
        sim.mailbox.request = fault
    elif fault == "clock jumps back":
        sim.clock.wall -= 3600


def drive(sim, killed, schedule, ticks: int = 3000) -> Finish | None:
    """Run to the end; a killed controller and a paused rollout are resumed, a dead server comes back after a while."""
    due = sorted(schedule, key=lambda entry: entry[0])
    dead_for = 0
    for tick in range(ticks):
        while due and due[0][0] <= tick:
            happen(sim, due.pop(0)[1])
        dead_for = 0 if sim.server.up else dead_for + 1
        if dead_for > 200:
            sim.server.restart()
        try:
            action = sim.tick()
            if isinstance(action, Finish):
                if action.status is not Status.PAUSED:
                    return action
                sim.clock.sleep(1.0)
                sim.resume()
        except killed:
            with contextlib.suppress(killed):
                sim.resume()
        else:
            assert isinstance(action, Wait | Finish) or sim.log.events[-1].kind in ("outcome", "finish", "resume")
    return None


@given(
    plan=PLANS,
    schedule=SCHEDULES,
    answers=GATES,
    broken=RARELY,
    smoke=RARELY.map(lambda bad: not bad),
    record=st.booleans(),
)
@settings(
    max_examples=max(500, settings.default.max_examples), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_path_ends_and_the_invariants_hold(simulated, plan, schedule, answers, broken, smoke, record):
    sim = simulated.Simulation(**plan)
    sim.server.has_record = record
    sim.gate.answers = list(answers)
    sim.checks.smoke_result = CheckResult(ok=smoke, reason="" if smoke else "off by 1")
    if broken:
        sim.server.broken[2] = "no such op"
    sim.start()

    end = drive(sim, simulated.Killed, schedule)

    assert end is not None, "no end"
    event(end.status.value)
    assert sim.server.complaints == []
    expected = {2} if end.status is Status.DONE else {1}
    assert sim.server.labels["stable"] in expected
    assert not (sim.traffic.weights or {}).get("canary")
    if end.status is Status.DONE:
        assert smoke
        assert not broken
    if sim.server.up:
        assert sim.server.labels["stable"] in sim.loaded
        assert len(sim.loaded) == (2 if end.status is Status.DONE and plan["keep_old"] else 1)
