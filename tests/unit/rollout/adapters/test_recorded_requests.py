# SPDX-License-Identifier: Apache-2.0
"""Windows of what consumers recorded."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.client.routing.comparison import Difference
from tfs_deploy.client.routing.recorder import RequestRecorder
from tfs_deploy.rollout.adapters.recorded_requests import RecordedRequests
from tfs_deploy.rollout.gates.request_stats import OutputComparison, Spread
from tfs_deploy.state.request_tallies import requests_dir


@pytest.fixture
def recorders(tmp_path):
    folder = requests_dir(tmp_path, "digits")
    return [RequestRecorder(folder, interval=60) for _ in range(2)]


def test_a_window_adds_up_what_all_consumers_recorded(tmp_path, recorders):
    recorded = RecordedRequests(tmp_path, "digits")
    assert not recorded.has_consumers()
    for number, recorder in enumerate(recorders):
        for _ in range(99):
            recorder.record("stable", 0.001 * (number + 1))
        recorder.record("canary", 0.1, error=True)
        recorder.outcome("canary", number)
        recorder.compare("canary", {"y": Difference(0.5, number, 1)})
        recorder.flush()

    window = recorded.window(0.0, float("inf"))

    stable, canary = window["stable"], window["canary"]
    assert (stable.requests, stable.errors) == (198, 0)
    assert stable.p50 == pytest.approx(0.001, rel=0.1)
    assert stable.p99 == pytest.approx(0.002, rel=0.1)
    assert stable.latency == Spread(198, pytest.approx(0.0015), pytest.approx(0.0005, rel=0.01))
    assert (canary.requests, canary.errors, canary.p99) == (2, 2, None)
    assert canary.outcomes == Spread(2, 0.5, pytest.approx(0.7071, rel=1e-3))
    assert canary.compared == {"y": OutputComparison(2, 0.5, 0.5, 2)}
    assert recorded.has_consumers()


def test_only_lines_of_the_window_count_and_each_is_read_once(tmp_path, recorders):
    now = 100.0
    recorder = RequestRecorder(requests_dir(tmp_path, "digits"), interval=60, clock=lambda: now)
    recorded = RecordedRequests(tmp_path, "digits")
    for _ in range(5):
        recorder.record("stable", 0.001)
        now += 1.0
        recorder.flush()
        recorded.window(0.0, 1.0)

    assert recorded.window(101.0, 103.0)["stable"].requests == 2
    assert recorded.window(99.0, 200.0)["stable"].requests == 5
    assert recorded.window(0.0, 99.0) == {}


def test_lines_of_another_machine_are_placed_by_the_wall_clock(tmp_path, recorders):
    folder = requests_dir(tmp_path, "digits")
    recorders[0].record("stable", 0.001)
    recorders[0].flush()
    file = next(folder.glob("*.jsonl"))
    line = json.loads(file.read_text())
    file.write_text(json.dumps({**line, "boot": "another", "mono": [5.0, 6.0], "at": 1000.0}) + "\n")
    recorded = RecordedRequests(tmp_path, "digits", now=lambda: 1010.0, mono=lambda: 50.0)

    assert recorded.window(39.0, 40.0)["stable"].requests == 1  # it was ten seconds ago
    assert recorded.window(40.0, 60.0) == {}


def test_half_a_line_is_read_when_it_is_whole(tmp_path, recorders):
    recorders[0].record("stable", 0.001)
    recorders[0].flush()
    file = next(requests_dir(tmp_path, "digits").glob("*.jsonl"))
    text = file.read_text()
    recorded = RecordedRequests(tmp_path, "digits")
    file.write_text(text[:40])
    assert recorded.window(0.0, float("inf")) == {}
    file.write_text(text)

    assert recorded.window(0.0, float("inf"))["stable"].requests == 1


@given(st.lists(st.floats(1e-5, 10.0), min_size=1, max_size=300))
def test_quantiles_of_a_histogram_are_near_those_of_the_numbers(tmp_path_factory, latencies):
    folder = tmp_path_factory.mktemp("recorded")
    recorder = RequestRecorder(requests_dir(folder, "digits"), interval=60)
    for latency in latencies:
        recorder.record("stable", latency)
    recorder.close()

    found = RecordedRequests(folder, "digits").window(0.0, float("inf"))["stable"]

    ordered = sorted(latencies)
    for value, share in ((found.p50, 0.5), (found.p99, 0.99)):
        exact = ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]
        assert value == pytest.approx(exact, rel=0.1)
