# SPDX-License-Identifier: Apache-2.0
"""The attempts of a call: retries, pauses and deadlines, with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfs_deploy.client.call.call import Call
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


def policy_of(**settings: Any) -> CallPolicy:
    now = iter(range(100, 200))
    return CallPolicy(Settings(**settings), "grpc", lambda: float(next(now)))


class Told:
    def __init__(self) -> None:
        self.words: list[tuple[str, str]] = []

    def started(self, record: Any) -> None:
        self.words.append(("started", record.method))

    def finished(self, record: Any) -> None:
        self.words.append(("finished", record.status))


def test_what_is_sent_along_is_the_clients_headers_the_calls_and_the_token():
    ref = ModelRef("half")
    assert policy_of(headers={"a": "1"}).begin("predict", ref).headers == {"a": "1"}
    assert policy_of(headers={"a": "1"}).begin("predict", ref, headers={"b": "2"}).headers == {"a": "1", "b": "2"}
    assert policy_of(headers={"a": "1"}).begin("predict", ref, headers={"a": "2"}).headers == {"a": "2"}
    for token in ("t", lambda: "t"):
        assert policy_of(token=token).begin("predict", ref).headers == {"authorization": "Bearer t"}
    sent = policy_of(token="t").begin("predict", ref, headers={"b": "2"}).headers
    assert sent == {"b": "2", "authorization": "Bearer t"}


def test_hooks_are_told_of_both_ends_of_a_call():
    told = Told()
    policy = policy_of(hooks=(told,))
    policy.end(policy.begin("predict", ModelRef("half")))
    policy.end(policy.begin("status", ModelRef("half")), error=DOWN)
    assert told.words == [
        ("started", "predict"),
        ("finished", "OK"),
        ("started", "status"),
        ("finished", "UNAVAILABLE"),
    ]


def test_a_hook_that_fails_fails_no_call(caplog):
    class Failing(Told):
        def started(self, record: Any) -> None:
            raise RuntimeError

    policy = policy_of(hooks=(Failing(),))
    policy.end(policy.begin("predict", ModelRef("half")))
    assert "failed" in caplog.text


def test_the_record_of_a_call_says_how_it_ended():
    class Reply:
        version = 7

    policy = policy_of()
    record = policy.begin("predict", ModelRef("half"))
    policy.end(record, Reply())
    assert (record.status, record.error, record.version, record.seconds) == ("OK", None, 7, 1.0)
    record = policy.begin("predict", ModelRef("half", version=3))
    policy.end(record, Reply())
    assert record.version == 3
    record = policy.begin("predict", ModelRef("half"))
    policy.end(record, error=KeyboardInterrupt())
    assert (record.status, record.version) == ("CANCELLED", None)
    record = policy.begin("predict", ModelRef("half"))
    policy.end(record, error=ValueError())
    assert record.status == "ValueError"
    stats = policy.statistics.read()
    assert (stats.calls, stats.failed) == (4, {"CANCELLED": 1, "ValueError": 1})


def test_the_time_of_an_attempt_is_limited_only_where_another_can_follow():
    policy = policy_of(attempt_timeout=2.0)
    for timeout, may_retry, expected in ((5.0, True, 2.0), (2.0, True, 2.0), (1.0, True, 1.0), (5.0, False, 5.0)):
        record = policy.begin("predict", ModelRef("half"))
        call = Call("/x", b"abc", timeout, 1000.0, may_retry=may_retry, caller_timeout=9.0)
        policy.begin_first_attempt(call, record)
        assert call.timeout == expected
        assert call.message_timeout == (2.0 if timeout == 5.0 and may_retry else 9.0)
        assert (call.end < 1000.0) is (timeout == 5.0 and may_retry)
        assert (record.attempts, record.bytes_sent) == (1, 3)


def test_the_model_of_a_call_is_the_clients_unless_the_call_says_more():
    policy = policy_of(label="stable")
    assert policy.model_ref("m", None, None) == ModelRef("m", label="stable")
    assert policy.model_ref("m", None, 3) == ModelRef("m", version=3)
    assert policy.model_ref("m", "canary", None) == ModelRef("m", label="canary")


def test_a_moment_has_passed_once_it_is_there():
    policy = CallPolicy(Settings(), "grpc", lambda: 100.0)
    assert [policy.has_passed(end) for end in (99.0, 100.0, 101.0)] == [True, True, False]
