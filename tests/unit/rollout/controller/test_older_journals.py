# SPDX-License-Identifier: Apache-2.0
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
#: keys that this program writes and older ones did not
ADDED = {"any_server", "gate_ca", "gate_headers", "lenient", "pull_from", "require_traffic"}


def _added(before: object, now: object) -> set[str]:
    """Return the keys that are new, at any depth; everything else has to be as it was."""
    if isinstance(before, dict) and isinstance(now, dict):
        assert set(before) <= set(now)
        return set(now) - set(before) | {key for name in before for key in _added(before[name], now[name])}
    assert now == before
    return set()


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

    for event, before in zip(sim.log.events, older, strict=True):
        assert (event.kind, event.action, event.ok) == (before.kind, before.action, before.ok)
        assert _added(before.detail, json.loads(json.dumps(event.detail))) <= ADDED
    plan, _ = replay(older)
    assert plan == sim.plan
    sim.log.events = list(older)
    sim.resume()
    assert sim.run().status is status
    assert sim.complaints == []
