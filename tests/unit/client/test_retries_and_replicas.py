"""When an attempt is made again and which server gets it: decisions without I/O, with a clock that tests move."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.call.predict_request import PredictRequest
from tfs_deploy.client.call.retries import Retries, RetryBudget, retry_after
from tfs_deploy.client.call.steps import drive
from tfs_deploy.client.client_base import ClientBase
from tfs_deploy.client.core.call_policy import CallPolicy
from tfs_deploy.client.core.request_steps import RequestSteps
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.options import Settings
from tfs_deploy.client.transport.load_balancing import BalancedTransport
from tfs_deploy.client.transport.replicas import Replicas
from tfs_deploy.errors import (
    Code,
    DeadlineExceededError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
    UsageError,
    status_error,
)

X = {"x": np.array([2, 4], np.float32)}
DOWN = UnavailableError("down")
FULL = ResourceExhaustedError("Server Threadpool Exhausted")


def decide(error, failures=1, left=10.0, retries=None, budget=None, now=0.0):
    retries = retries or Retries()
    budget = budget or RetryBudget(retries, 0.0)
    return retry_after(error, failures=failures, left=left, retries=retries, budget=budget, now=now)


@pytest.mark.parametrize("code", [code for code in Code if code not in (Code.OK, Code.UNAVAILABLE)])
def test_only_what_passes_is_tried_again(code):
    again = decide(status_error(code, "no")) is not None
    # a deadline with time left is that of one attempt
    assert again == (code == Code.DEADLINE_EXCEEDED)


def test_what_cannot_pass_is_not_tried_again():
    assert decide(UnavailableError("speaks HTTP/1", retriable=False)) is None
    assert decide(DOWN) is not None
    assert decide(FULL) is not None
    assert decide(ResourceExhaustedError("message larger than max")) is None


def test_attempts_are_limited_but_not_those_that_were_refused():
    assert decide(DOWN, failures=5) is not None
    assert decide(DOWN, failures=6) is None
    assert decide(FULL, failures=40) is not None
    assert decide(FULL, retries=Retries(attempts=1)) is None


@given(failures=st.integers(1, 200))
def test_pauses_grow_to_their_limit_and_differ(failures):
    pauses = [Retries().pause(failures) for _ in range(20)]
    longest = min(0.05 * 2.0 ** min(failures - 1, 60), 1.0)
    assert all(longest / 2 <= pause <= longest for pause in pauses)
    assert len(set(pauses)) > 1


def test_no_pause_reaches_beyond_the_deadline():
    assert decide(DOWN, left=0.01) is None


def test_the_budget_runs_dry_and_fills_again():
    retries = Retries(reserve=3, per_second=1, per_call=0.5)
    budget = RetryBudget(retries, 0.0)
    assert [decide(DOWN, retries=retries, budget=budget) is not None for _ in range(5)] == [True] * 3 + [False] * 2
    budget.earn()
    budget.earn()
    assert decide(DOWN, retries=retries, budget=budget) is not None
    assert decide(DOWN, retries=retries, budget=budget) is None
    assert decide(DOWN, retries=retries, budget=budget, now=1.5) is not None
    assert decide(DOWN, retries=retries, budget=budget, now=1.5) is None


def test_refusals_cost_a_tenth():
    retries = Retries(reserve=1, per_second=0, per_call=0)
    budget = RetryBudget(retries, 0.0)
    found = [decide(FULL, retries=retries, budget=budget) is not None for _ in range(12)]
    assert 9 <= sum(found) <= 10


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_pause": 0.0}, {"first_pause": 2.0}])
def test_what_is_no_way_to_retry(wrong):
    with pytest.raises(UsageError):
        Retries(**wrong)


class Bench:
    """A client's steps under its policy; what its server does is a list of errors, then answers."""

    def __init__(self, tiny: Any, **settings: Any) -> None:
        self.now = 100.0
        self.faults: list[Exception] = []
        self.timeouts: list[float] = []
        self.pauses: list[float] = []
        self.policy = CallPolicy(Settings(**settings), "grpc", lambda: self.now)
        self.request_steps = RequestSteps(GrpcDialect(), timeout=10.0, check=False, clock=lambda: self.now)
        self._tiny = tiny

    def predict(self) -> Any:
        record = self.policy.begin("predict", ModelRef("half"))
        steps = self.request_steps.predict(PredictRequest(ModelRef("half"), X, record))
        return drive(self.policy.attempts(steps, record), self._perform, self._sleep), record

    def _perform(self, call: Any) -> bytes:
        self.timeouts.append(call.timeout)
        if self.faults:
            fault = self.faults.pop(0)
            self.now += call.timeout if isinstance(fault, DeadlineExceededError) else 0.25
            raise fault
        return self._tiny.answer(call.path, call.body)

    def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_a_call_is_sent_until_it_is_answered(tiny):
    bench = Bench(tiny)
    bench.faults = [DOWN, FULL, DOWN]
    reply, record = bench.predict()
    assert reply["y"].tolist() == [1, 2]
    assert record.attempts == 4
    assert len(bench.pauses) == 3
    # what is left for each attempt is what the ones before it, and the pauses, left over
    assert bench.timeouts[0] == 10
    assert bench.timeouts[-1] == pytest.approx(10 - 3 * 0.25 - sum(bench.pauses))


def test_each_attempt_has_a_deadline_of_its_own(tiny):
    bench = Bench(tiny, attempt_timeout=2.0)
    bench.faults = [DeadlineExceededError("late"), DeadlineExceededError("late")]
    _, record = bench.predict()
    assert bench.timeouts == [2, 2, 2]
    assert (record.attempts, bench.pauses) == (3, [])


def test_attempts_that_are_all_late_end_with_the_deadline_of_the_call(tiny):
    bench = Bench(tiny, attempt_timeout=4.0)
    bench.faults = [DeadlineExceededError("late")] * 9
    with pytest.raises(DeadlineExceededError, match=r"within 10 s, in 3 attempts; the last one: late"):
        bench.predict()
    assert bench.timeouts == [4, 4, 2]


def test_the_last_error_is_the_one_that_is_raised(tiny):
    bench = Bench(tiny)
    bench.faults = [DOWN, InvalidArgumentError("bad")]
    with pytest.raises(InvalidArgumentError, match="bad"):
        bench.predict()


def test_one_attempt_is_no_retry(tiny):
    bench = Bench(tiny, retries=Retries(attempts=1))
    bench.faults = [DOWN]
    with pytest.raises(UnavailableError):
        bench.predict()
    assert len(bench.timeouts) == 1


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


def test_with_all_servers_resting_the_most_rested_gets_the_call():
    clock = Clock()
    replicas = Replicas(3, clock)
    for number in (2, 0, 1):
        replicas.failed(number, DOWN)
        clock.now += 0.01
    assert {replicas.pick() for _ in range(6)} == {2}


def test_refusals_leave_all_attempts_to_a_server_that_dies(tiny):
    bench = Bench(tiny)
    bench.faults = [FULL] * 4 + [DOWN] * 5
    reply, record = bench.predict()
    assert reply["y"].tolist() == [1, 2]
    assert record.attempts == 10


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


class Switched:
    """A server that is up or down."""

    def __init__(self, tiny: Any) -> None:
        self.up = True
        self._tiny = tiny

    def perform(self, call: Any) -> bytes:
        if not self.up:
            raise UnavailableError("down")
        return self._tiny.answer(call.path, call.body)


@given(
    history=st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.1, 1.0])), min_size=1, max_size=40),
    check=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(history=[(0, 1.0)] * 20 + [(1, 0.0)] * 2, check=False)
def test_while_one_of_several_servers_is_up_no_call_fails(new_server, history, check):
    clock = Clock()
    servers = [Switched(new_server()) for _ in range(2)]
    client = ClientBase(GrpcDialect(), servers, Settings(check=check), transport_name="grpc")
    operations = client._operations
    client._transport.replicas._clock = operations.policy._clock = operations.request_steps._clock = clock
    operations.policy._budget = RetryBudget(Retries(), clock.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "tfs_deploy.client.client_base.time.sleep", lambda seconds: setattr(clock, "now", clock() + seconds)
        )
        for down, passed in history:
            for number, server in enumerate(servers):
                server.up = number != down
            clock.now += passed
            assert client.predict("half", X)["y"].tolist() == [1, 2]


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


def test_a_hedge_goes_to_another_server_than_the_slow_one(tiny):
    answered = threading.Event()

    class Slow(Switched):
        def perform(self, call: Any) -> bytes:
            assert answered.wait(20)
            return super().perform(call)

    balanced = BalancedTransport([Slow(tiny), Switched(tiny)])
    # as if other calls took every second turn
    balanced.replicas._turns = itertools.repeat(0)
    client = ClientBase(GrpcDialect(), [balanced], Settings(check=False, hedge_after=0.01), transport_name="grpc")
    try:
        assert client.predict("half", X)["y"].tolist() == [1, 2]
    finally:
        answered.set()
