# SPDX-License-Identifier: Apache-2.0
"""Request statistics: windows by label."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.rollout import RequestStats, WindowSummary
from tfs_deploy.rollout.gates.request_stats import OutputComparison, Spread


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_window_counts_what_ended_in_it():
    clock = Clock()
    stats = RequestStats(clock=clock)
    for at, label, error in [(1, "stable", False), (2, "stable", True), (3, "canary", False), (4, "stable", False)]:
        clock.now = at
        stats.record(label, at / 1000, error=error)

    window = stats.window(2, 4)

    assert set(window) == {"stable", "canary"}
    assert window["stable"] == WindowSummary(1, 1)
    assert window["canary"] == WindowSummary(1, 0, 0.003, 0.003, 0.003, 0.003, latency=Spread(1, 0.003, 0.0))
    assert window["stable"].error_rate == 1.0
    assert stats.window(5, 9) == {}


@given(st.lists(st.floats(0, 10), min_size=1, max_size=200))
def test_quantiles_are_those_of_numpy(latencies):
    summary = WindowSummary.of(latencies, errors=3)

    assert summary.requests == len(latencies) + 3
    assert summary.p50 == pytest.approx(np.quantile(latencies, 0.5))
    assert summary.p99 == pytest.approx(np.quantile(latencies, 0.99))


def test_the_slowest_of_two_windows_takes_a_quantile_from_those_that_have_enough_for_it():
    many = WindowSummary(600, 0, 0.002, 0.004, 0.006, 0.010)
    few = WindowSummary(40, 0, 0.003, 0.900, 0.900, 0.900)

    for slowest in (many.slowest(few), few.slowest(many)):
        assert slowest == WindowSummary(600, 0, 0.003, 0.004, 0.006, 0.010)
    assert few.slowest(WindowSummary()).p99 == 0.900
    assert (many.tells("p99"), few.tells("p99"), few.tells("p50"), WindowSummary(900).tells("p99")) == (
        *(True, False, True, False),
    )


def test_memory_is_bounded_and_the_newest_are_kept():
    clock = Clock()
    stats = RequestStats(keep=10, clock=clock)
    for at in range(100):
        clock.now = at
        stats.record("stable", 0.001)

    assert stats.window(0, 1000)["stable"].requests == 10
    assert stats.window(90, 1000)["stable"].requests == 10


def test_many_threads_record_while_windows_are_read():
    stats = RequestStats()
    stop = threading.Event()

    def feed() -> None:
        for _ in range(5000):
            stats.record("stable", 0.001)

    def read() -> None:
        while not stop.is_set():
            stats.window(0, float("inf"))

    reader = threading.Thread(target=read)
    reader.start()
    feeders = [threading.Thread(target=feed) for _ in range(4)]
    for thread in feeders:
        thread.start()
    for thread in feeders:
        thread.join()
    stop.set()
    reader.join()

    assert stats.window(0, float("inf"))["stable"].requests == 20_000


def test_a_summary_survives_json():
    summary = WindowSummary(10, 1, 0.1, 0.2, 0.3, 0.4, Spread(9, 0.1, 0.01), None, {"y": OutputComparison(1, 0.5, 1.0)})

    assert WindowSummary.from_dict(json.loads(json.dumps(summary.as_dict()))) == summary
    assert WindowSummary.from_dict({"requests": 1, "errors": 0}) == WindowSummary(1)
