# SPDX-License-Identifier: Apache-2.0
"""Which of several servers gets a call, with a clock that the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.client.transport.replicas import Replicas
from tfs_deploy.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    UnavailableError,
)

DOWN = UnavailableError("down")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_servers_take_turns():
    replicas = Replicas(3)
    assert [replicas.pick() for _ in range(6)] == [0, 1, 2, 0, 1, 2]


def test_an_unavailable_server_rests_longer_each_time_and_comes_back():
    clock = Clock()
    replicas = Replicas(2, clock)
    replicas.failed(0, DOWN)
    assert replicas.resting() == [0]
    assert {replicas.pick() for _ in range(4)} == {1}
    clock.now = 0.11
    assert {replicas.pick() for _ in range(4)} == {0, 1}
    replicas.failed(0, DOWN)
    clock.now = 0.25
    assert replicas.resting() == [0]
    clock.now = 0.35
    assert replicas.resting() == []
    replicas.answered(0)
    replicas.failed(0, DOWN)
    clock.now = 0.46
    assert replicas.resting() == []


def test_a_late_server_rests_after_the_third_time():
    replicas = Replicas(2, Clock())
    for rests in ([], [], [0]):
        replicas.failed(0, DeadlineExceededError("late"))
        assert replicas.resting() == rests
    replicas.failed(1, InvalidArgumentError("an answer"))
    assert replicas.resting() == [0]


def test_a_server_that_answers_that_it_gave_up_is_not_late():
    replicas = Replicas(2, Clock())
    for _ in range(3):
        replicas.failed(0, DeadlineExceededError("Timed out waiting for notification", reached=True))
    assert replicas.resting() == []


def test_with_all_servers_resting_the_most_rested_gets_the_call():
    clock = Clock()
    replicas = Replicas(3, clock)
    for number in (2, 0, 1):
        replicas.failed(number, DOWN)
        clock.now += 0.01
    assert {replicas.pick() for _ in range(6)} == {2}


def test_a_call_that_failed_goes_elsewhere_even_to_a_resting_server():
    clock = Clock()
    replicas = Replicas(2, clock)
    for _ in range(5):
        replicas.failed(0, DOWN)
    replicas.failed(1, DOWN)
    # without knowing of the failure, the one that is back first
    assert replicas.pick() == 1
    assert replicas.pick((1,)) == 0
    assert replicas.pick((1, 0)) == 1
    assert replicas.pick((1, 0, 1)) == 0
    assert Replicas(1).pick((0, 0)) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_a_server_is_always_found(events):
    clock = Clock()
    replicas = Replicas(4, clock)
    for number, well in events:
        if well:
            replicas.answered(number)
        else:
            replicas.failed(number, DOWN)
        clock.now += 0.03
        assert 0 <= replicas.pick() < 4
        if len(replicas.resting()) < 4:
            assert replicas.pick() not in replicas.resting()
