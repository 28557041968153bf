"""The attempts of a call: retries, pauses and deadlines, with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.call.predict_request import PredictRequest
from tfs_deploy.client.call.retries import Retries
from tfs_deploy.client.call.steps import drive
from tfs_deploy.client.core.call_policy import CallPolicy
from tfs_deploy.client.core.request_steps import RequestSteps
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.options import Settings
from tfs_deploy.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)

X = {"x": np.array([2, 4], np.float32)}


DOWN = UnavailableError("down")


FULL = ResourceExhaustedError("Server Threadpool Exhausted")


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


def test_the_first_answer_of_a_server_is_told(tiny):
    bench = Bench(tiny)
    bench.faults = [DOWN, UnavailableError("the queue is full", reached=True), DOWN, DOWN, DOWN, DOWN]
    with pytest.raises(UnavailableError, match=r"^the queue is full; after that: down$"):
        bench.predict()
    bench = Bench(tiny, attempt_timeout=6.0)
    bench.faults = [UnavailableError("the queue is full", reached=True), *[DeadlineExceededError("late")] * 2]
    with pytest.raises(DeadlineExceededError, match=r"^the queue is full; after that: no answer within 10 s, in 3 att"):
        bench.predict()


def test_one_attempt_is_no_retry(tiny):
    bench = Bench(tiny, retries=Retries(attempts=1))
    bench.faults = [DOWN]
    with pytest.raises(UnavailableError):
        bench.predict()
    assert len(bench.timeouts) == 1


def test_refusals_leave_all_attempts_to_a_server_that_dies(tiny):
    bench = Bench(tiny)
    bench.faults = [FULL] * 4 + [DOWN] * 5
    reply, record = bench.predict()
    assert reply["y"].tolist() == [1, 2]
    assert record.attempts == 10
