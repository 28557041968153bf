# SPDX-License-Identifier: Apache-2.0
"""The steps of requests: what is sent and when, driven by hand with a clock that the test moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.call_record import CallRecord
from tfs_deploy.client.call.deadline import Deadline
from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.call.predict_request import PredictRequest
from tfs_deploy.client.call.steps import drive
from tfs_deploy.client.core.request_steps import RequestSteps
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.transport.hedging import second_request
from tfs_deploy.errors import (
    Code,
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    RequestError,
    UnavailableError,
    UnimplementedError,
    status_error,
)


class Bench:
    """A core, a tiny server that answers it, and a clock that only moves in pauses and when told."""

    def __init__(self, tiny: Any, *, check: bool = True, age: float | None = None) -> None:
        self.tiny = tiny
        self.now = 100.0
        self.timeouts: list[float] = []
        dialect = GrpcDialect()
        if age is not None:
            dialect.metadata_age = age
        self.request_steps = RequestSteps(dialect, timeout=10.0, check=check, clock=lambda: self.now)

    def perform(self, call: Call) -> bytes:
        self.timeouts.append(call.timeout)
        return self.tiny.answer(call.path, call.body)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def run(self, steps: Any) -> Any:
        return drive(steps, self.perform, self.sleep)

    def predict(self, inputs: Any, ref: ModelRef = ModelRef("half"), **more: Any) -> Any:  # noqa: B008 - immutable
        record = CallRecord("predict", ref, None, "grpc", {}, self.now)
        return self.run(self.request_steps.predict(PredictRequest(ref, inputs, record, **more)))

    def wait(self, ref: ModelRef = ModelRef("half"), timeout: float = 60.0) -> Any:  # noqa: B008 - immutable
        return self.run(self.request_steps.wait_ready(ref, timeout=timeout))


@pytest.fixture
def bench(tiny):
    return Bench(tiny)


X = {"x": np.array([2, 4], np.float32)}


def test_metadata_is_asked_for_once(bench, tiny):
    for _ in range(3):
        assert bench.predict(X)["y"].tolist() == [1, 2]
    assert tiny.calls == ["GetModelMetadata", "Predict", "Predict", "Predict"]


def test_each_label_and_version_has_metadata_of_its_own(bench, tiny, new_model):
    tiny.versions[2] = new_model(dtype="int32")
    tiny.labels = {"stable": 1, "canary": 2}
    assert bench.predict({"x": [2]}, ModelRef("half", label="stable"))["y"].dtype == np.float32
    assert bench.predict({"x": [2]}, ModelRef("half", label="canary"))["y"].dtype == np.int32
    assert bench.predict({"x": [2]}, ModelRef("half", version=1))["y"].dtype == np.float32
    assert tiny.calls.count("GetModelMetadata") == 3


def test_metadata_is_asked_for_again_when_the_version_has_changed(bench, tiny, new_model):
    bench.predict(X)
    tiny.versions[2] = new_model()
    assert bench.predict(X).version == 2
    assert bench.predict(X).version == 2
    assert tiny.calls == ["GetModelMetadata", "Predict", "Predict", "GetModelMetadata", "Predict"]


def test_inputs_that_fit_only_the_new_version_are_sent(bench, tiny, new_model):
    """The cached metadata says float32; the server has moved on to int32."""
    bench.predict(X)
    tiny.versions[2] = new_model(dtype="int32")
    reply = bench.predict({"x": np.array([2, 4], np.int32)})
    assert (reply.version, reply["y"].dtype) == (2, np.int32)


def test_lists_are_converted_again_for_the_new_version(bench, tiny, new_model):
    """Sent as float32 by the cached metadata, refused by the server, asked again, sent as int32."""
    bench.predict({"x": [2, 4]})
    tiny.versions[2] = new_model(dtype="int32")
    assert bench.predict({"x": [2, 4]})["y"].dtype == np.int32
    assert tiny.calls[-3:] == ["Predict", "GetModelMetadata", "Predict"]


def test_a_mistake_is_not_sent_and_not_blamed_on_old_metadata_twice(bench, tiny):
    with pytest.raises(RequestError, match="no input z"):
        bench.predict({"z": [1]})
    assert tiny.calls == ["GetModelMetadata"]
    with pytest.raises(RequestError, match="no input z"):
        bench.predict({"z": [1]})
    assert tiny.calls == ["GetModelMetadata"] * 2


def test_the_servers_refusal_is_reported_when_the_metadata_is_the_same(bench, tiny):
    bench.predict(X)
    tiny.run = lambda *_: (_ for _ in ()).throw(status_error(Code.INVALID_ARGUMENT, "bad shapes"))
    with pytest.raises(InvalidArgumentError, match="bad shapes"):
        bench.predict(X)
    assert tiny.calls == ["GetModelMetadata", "Predict", "Predict", "GetModelMetadata"]


def test_the_first_error_is_reported_when_metadata_is_gone_too(bench, tiny):
    bench.predict(X, ModelRef("half", version=1))
    tiny.versions[1].state = "END"
    with pytest.raises(NotFoundError, match=r"Servable not found for request: Specific\(half, 1\)"):
        bench.predict(X, ModelRef("half", version=1))


def test_old_metadata_is_not_believed_where_replies_have_no_version(tiny):
    bench = Bench(tiny, age=5.0)
    bench.predict(X)
    bench.now += 4.9
    bench.predict(X)
    bench.now += 0.2
    bench.predict(X)
    assert tiny.calls == ["GetModelMetadata", "Predict", "Predict", "GetModelMetadata", "Predict"]


def test_without_check_only_the_request_is_sent(tiny):
    bench = Bench(tiny, check=False)
    with pytest.raises(InvalidArgumentError, match=r"Expects arg\[0\]"):
        bench.predict({"x": np.array([1])})
    assert tiny.calls == ["Predict"]


def test_a_server_without_metadata_is_believed(bench, tiny):
    def refuse(path):
        if path.endswith("GetModelMetadata"):
            raise UnimplementedError("no such method")

    tiny.before = refuse
    bench.predict(X)
    bench.predict(X)
    assert tiny.calls == ["GetModelMetadata", "Predict", "Predict"]


def test_one_deadline_for_all_calls_of_a_predict(bench, tiny):
    def slow(_path):
        bench.now += 3

    tiny.before = slow
    bench.predict(X, timeout=8)
    assert bench.timeouts == [8, 5]
    with pytest.raises(DeadlineExceededError, match="no answer within 2 s"):
        bench.predict(X, ModelRef("half", version=1), timeout=2)


def test_what_is_late_is_told_by_the_seconds_of_the_caller():
    """Not by what was left of them when the request was sent."""
    deadline = Deadline(0.3, lambda: 100.1, since=100.0)
    call = deadline.limit(Call("", b""))
    assert (call.timeout, call.message_timeout) == (pytest.approx(0.2), 0.3)
    assert second_request(call, 0.1).message_timeout == 0.3
    assert deadline.limit(Call("", b""), longest=0.05).message_timeout == 0.05


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5"])
def test_a_timeout_is_positive(bench, timeout):
    with pytest.raises(RequestError, match="not a valid timeout"):
        bench.predict(X, timeout=timeout)


def test_inputs_are_a_mapping(bench):
    with pytest.raises(RequestError, match="inputs must be a mapping, not list"):
        bench.predict([1, 2])


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        (ModelRef("half", version=7), "the server has these versions of half: version 2 LOADING, version 1 AVAILABLE"),
        (ModelRef("nosuch"), "see which models and versions are served: tfs-deploy status"),
    ],
)
def test_not_found_says_what_there_is(bench, tiny, new_model, ref, hint):
    tiny.versions[2] = new_model(state="LOADING")
    tiny.before = lambda path: None
    with pytest.raises(NotFoundError) as caught:
        bench.predict(X, ref)
    assert caught.value.hint in (hint, None)
    assert ref.name != "half" or caught.value.hint == hint


def test_reload_reads_the_status_in_the_response_and_forgets_metadata(bench, tiny):
    config = 'model_config_list { config { name: "half" base_path: "/m" model_platform: "tensorflow" } }'
    bench.predict(X)
    bench.run(bench.request_steps.reload(config, timeout=None))
    bench.predict(X)
    assert tiny.calls.count("GetModelMetadata") == 2
    tiny.reload_status = (9, "Request to assign label to version 3")
    with pytest.raises(FailedPreconditionError, match="Request to assign label"):
        bench.run(bench.request_steps.reload(config, timeout=None))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("model_config_list {", "is not a valid ModelServerConfig"),
        ({"a": 1}, "the configuration must be a ModelServerConfig, not dict"),
    ],
)
def test_what_is_no_configuration(bench, config, message):
    with pytest.raises(RequestError, match=message):
        bench.run(bench.request_steps.reload(config, timeout=None))


def test_wait_ready_returns_the_version_that_became_available(bench, tiny, new_model):
    tiny.versions = {1: new_model(state="LOADING")}
    tiny.before = lambda _: setattr(tiny.versions[1], "state", "AVAILABLE" if bench.now > 103 else "LOADING")
    assert bench.wait() == 1
    assert 103 < bench.now < 104


@pytest.mark.parametrize(
    ("states", "ref", "version"),
    [
        ({1: "AVAILABLE", 2: "LOADING"}, ModelRef("half"), 1),
        ({1: "AVAILABLE", 2: "AVAILABLE"}, ModelRef("half"), 2),
        ({1: "AVAILABLE", 2: "AVAILABLE"}, ModelRef("half", version=1), 1),
        ({1: "AVAILABLE", 2: "AVAILABLE"}, ModelRef("half", label="stable"), 1),
        ({1: "END", 2: "AVAILABLE"}, ModelRef("half"), 2),
    ],
)
def test_what_is_ready(bench, tiny, new_model, states, ref, version):
    tiny.versions = {number: new_model(state=state) for number, state in states.items()}
    tiny.labels = {"stable": 1}
    assert bench.wait(ref) == version


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        (ModelRef("half", version=2), "half version 2 is not ready after 5 s; last seen: version 2 LOADING"),
        (ModelRef("half", version=3), "half version 3 is not ready after 5 s; last seen: Could not find|no version"),
        (ModelRef("nosuch"), "nosuch is not ready after 5 s; last seen: Could not find any versions of model nosuch"),
        (ModelRef("half", label="new"), "half label new is not ready after 5 s; last seen: Unrecognized servable"),
    ],
)
def test_what_was_seen_last_is_said_at_the_deadline(bench, tiny, new_model, ref, message):
    tiny.versions[2] = new_model(state="LOADING")
    with pytest.raises(DeadlineExceededError, match=message):
        bench.wait(ref, 5.0)
    assert 105 <= bench.now < 105.1
    assert len(tiny.calls) < 40


@pytest.mark.parametrize("ref", [ModelRef("half"), ModelRef("half", version=2)])
def test_a_version_that_ended_with_an_error_fails_at_once(bench, tiny, new_model, ref):
    tiny.versions = {2: new_model(state="END", code=Code.NOT_FOUND, message="Could not find meta graph def")}
    with pytest.raises(NotFoundError, match="half version 2 failed to load: Could not find meta graph def"):
        bench.wait(ref)
    assert tiny.calls == ["GetModelStatus"]


def test_another_version_that_still_loads_keeps_hope(bench, tiny, new_model):
    tiny.versions = {
        1: new_model(state="LOADING"),
        2: new_model(state="END", code=Code.INTERNAL, message="broken"),
    }
    tiny.before = lambda _: setattr(tiny.versions[1], "state", "AVAILABLE" if bench.now > 101 else "LOADING")
    assert bench.wait() == 1


def test_an_unreachable_server_is_waited_for_but_not_one_that_speaks_http(bench, tiny):
    def refuse(_path):
        if bench.now < 102:
            raise UnavailableError("connection refused")

    tiny.before = refuse
    assert bench.wait() == 1

    def misread(_path):
        raise UnavailableError("speaks HTTP/1", retriable=False)

    tiny.before = misread
    with pytest.raises(UnavailableError, match="speaks HTTP/1"):
        bench.wait()


def test_a_request_that_the_deadline_cuts_off_does_not_hide_the_answer_before_it(bench, tiny, new_model):
    tiny.versions = {1: new_model(state="LOADING")}

    def freeze(_path):
        if bench.now > 101:
            bench.now += bench.timeouts[-1]
            raise DeadlineExceededError("no answer")

    tiny.before = freeze
    with pytest.raises(DeadlineExceededError, match="half is not ready after 5 s; last seen: version 1 LOADING"):
        bench.wait(timeout=5)


def test_a_frozen_server_is_asked_again_until_the_deadline(bench, tiny):
    def freeze(_path):
        bench.now += bench.timeouts[-1]
        raise DeadlineExceededError("no answer")

    tiny.before = freeze
    with pytest.raises(DeadlineExceededError, match="half is not ready after 12 s; last seen: no answer"):
        bench.wait(timeout=12)
    assert bench.timeouts[:2] == [5, 5]
    assert bench.now < 112.2
