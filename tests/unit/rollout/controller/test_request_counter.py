# SPDX-License-Identifier: Apache-2.0
"""The requests of a whole rollout: what its parts add up to, and what the load generator saw."""

from __future__ import annotations

import collections
import random
from dataclasses import replace

import pytest

from tfs_deploy.client import RequestRecorder
from tfs_deploy.rollout import RequestStats, RolloutResult, Verdict
from tfs_deploy.rollout.adapters.recorded_requests import RecordedRequests
from tfs_deploy.rollout.controller.request_counter import RequestCounter
from tfs_deploy.rollout.gates.request_stats import RequestCount
from tfs_deploy.state.request_tallies import requests_dir, set_watched

FAULTS = ("crash", "restart", "killed", "traffic deleted", "reload refused", "abort", "pause", "promote")


class Load:
    """Requests that end while time passes and while the rollout acts, each taken down on its own."""

    def __init__(self, sim, chance: random.Random) -> None:
        self.stats = RequestStats(keep=chance.choice([800, 200_000]), clock=sim.clock.monotonic)
        self.seen: list[tuple[float, str, bool]] = []
        self._sim = sim
        self._chance = chance
        self._sleep, sim.clock.sleep = sim.clock.sleep, self._pass

    def send(self, count: int) -> None:
        for _ in range(count):
            label = self._chance.choice(["stable", "stable", "canary"])
            error = self._chance.random() < 0.1
            self.seen.append((self._sim.clock.monotonic(), label, error))
            self.stats.record(label, 0.001, error=error)

    def _pass(self, seconds: float) -> None:
        self.send(self._chance.randint(0, 4))
        self._sleep(seconds)
        self.send(self._chance.randint(0, 4))


@pytest.mark.parametrize("seed", range(120))
def test_the_parts_are_the_whole_and_the_whole_is_what_the_load_generator_saw(simulated, seed):
    chance = random.Random(seed)
    plan = {"steps": chance.choice([(100.0,), (5.0, 50.0, 100.0)]), "bake": chance.choice([0.0, 2.0, 30.0])}
    sim = simulated.Simulation(**plan, keep_warm=chance.choice([0.0, 5.0]), on_too_few=chance.choice(["fail", "pass"]))
    load = Load(sim, chance)
    sim.world = replace(sim.world, requests=load.stats)
    sim.gate.answers = chance.choices([Verdict.PASS] * 9 + [Verdict.FAIL], k=20)
    load.send(30)  # before the rollout
    sim.clock.sleep(1.0)
    sim.start()
    begun = sim.clock.monotonic()
    schedule = [(chance.randint(0, 60), chance.choice(FAULTS)) for _ in range(chance.randint(0, 3))]

    assert simulated.drive(sim, schedule) is not None

    ended = sim.log.events[-1].detail["counted_until"]
    result = RolloutResult.from_events(sim.plan, sim.log.events)
    requests, errors = collections.Counter(), collections.Counter()
    for at, label, error in load.seen:
        if begun <= at < ended:
            requests[label] += 1
            errors[label] += error
    assert {label: count.requests for label, count in result.by_label.items()} == dict(requests)
    assert {label: count.errors for label, count in result.by_label.items()} == {**dict.fromkeys(requests, 0), **errors}
    in_steps = sum((step.count for step in result.steps), RequestCount())
    assert in_steps + result.outside == result.total == RequestCount(requests.total(), errors.total())
    assert min(result.outside.requests, result.outside.errors) >= 0


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_what_consumers_write_late_and_what_their_files_drop_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("tfs_deploy.state.request_tallies._LARGEST", 2000)
    clock, folder = Clock(), requests_dir(tmp_path, "digits")
    recorder = RequestRecorder(folder, interval=60, clock=clock.now)
    recorded = RecordedRequests(tmp_path, "digits", mono=clock.now)
    counter = RequestCounter(recorded, clock)
    for second in range(40):
        recorder.record("canary", 0.001, error=second % 4 == 0)
        clock.sleep(1.0)
        now = clock.now()
        if second % 3 == 0:
            counter.look(now)  # before the consumer has written
        recorder.flush()
    counter.look(clock.now())

    assert len(next(folder.glob("*.jsonl")).read_text().splitlines()) < 40
    assert counter.as_detail()["counted"] == {"canary": [40, 10]}
    assert not counter.as_detail()["synthetic"]


def test_consumers_record_all_requests_while_a_rollout_is_unfinished(tmp_path):
    folder = requests_dir(tmp_path, "digits")
    recorder = RequestRecorder(folder, interval=60)
    assert not recorder.watched
    set_watched(folder, watched=True)
    recorder.flush()
    assert recorder.watched
    set_watched(folder, watched=False)
    set_watched(folder, watched=False)
    recorder.close()
    assert not recorder.watched


def test_a_source_that_fails_is_asked_again_for_the_same_time(simulated):
    class Source:
        synthetic = True

        def __init__(self):
            self.asked = []

        def window(self, start, end):
            self.asked.append((start, end))
            if len(self.asked) == 1:
                raise OSError("no answer")
            return {}

    clock = Clock()
    source = Source()
    counter = RequestCounter(source, clock)
    counter.look(105.0)
    counter.look(110.0)
    counter.look(115.0)

    assert source.asked == [(100.0, 105.0), (100.0, 110.0), (110.0, 115.0)]
    assert counter.as_detail() == {"counted": {}, "counted_until": 115.0, "synthetic": True}
