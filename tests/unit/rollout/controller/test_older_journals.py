"""Journals of the program before its classes were renamed: the same entries are written today, and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tfs_deploy.rollout import Status, Verdict
from tfs_deploy.rollout.controller.journal import Journal, replay
from tfs_deploy.rollout.gates.registry import parse_gate

RECORDED = Path(__file__).parent / "recorded"
GATES = {
    "unfinished": ("errors=1%", "p99=1.5x", "command=./kpi.sh :: $.ctr >= 0.1"),
    "on_the_way_back": ("errors=1%",),
}


@pytest.mark.parametrize(
    ("name", "answers", "status"),
    [("unfinished", [], Status.DONE), ("on_the_way_back", [Verdict.FAIL], Status.ROLLED_BACK)],
)
def test_an_unfinished_rollout_of_older_code_is_resumed(simulated, name, answers, status):
    older = Journal(RECORDED / f"{name}.jsonl").read()
    sim = simulated.Simulation(gates=tuple(map(parse_gate, GATES[name])), recorded=True)
    sim.gate.answers = list(answers)
    sim.start()
    while len(sim.log.events) < len(older):
        sim.tick()

    written = [(event.kind, event.action, event.ok, dict(event.detail)) for event in sim.log.events]
    assert json.loads(json.dumps(written)) == [[event.kind, event.action, event.ok, event.detail] for event in older]
    plan, _ = replay(older)
    assert plan == sim.plan
    sim.log.events = list(older)
    sim.resume()
    assert sim.run().status is status
    assert sim.complaints == []
