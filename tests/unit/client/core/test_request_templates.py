# SPDX-License-Identifier: Apache-2.0
"""Requests like an earlier one are sent without steps; only the time that a call takes may differ."""

from __future__ import annotations

import asyncio
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfs_deploy import codec
from tfs_deploy.client import AsyncClient, Client
from tfs_deploy.client.call.retries import Retries, RetryBudget
from tfs_deploy.client.client_base import ClientBase
from tfs_deploy.client.grpc.dialect import GrpcDialect
from tfs_deploy.client.options import Settings
from tfs_deploy.codec.predict import frame_predict_request
from tfs_deploy.errors import (
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    RequestError,
    ResourceExhaustedError,
    TfsDeployError,
    UnavailableError,
)

X = {"x": np.array([2, 4], np.float32)}
FAULTS = [
    UnavailableError("down"),
    ResourceExhaustedError("Server Threadpool Exhausted"),
    DeadlineExceededError("late"),
    InvalidArgumentError("bad"),
    FailedPreconditionError("not now"),
    NotFoundError("gone"),
    InternalError("broken"),
    DataLossError("no message"),
]


class Lab:
    """A client whose server, clock and pauses are the test's own."""

    def __init__(self, tiny: Any, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.now = 100.0
        self.faults: list[TfsDeployError] = []
        self.seen: list[tuple[Any, ...]] = []
        self.records: list[Any] = []
        self.tiny = tiny
        self.client = ClientBase(GrpcDialect(), [self], Settings(hooks=(self,), **settings), transport_name="grpc")
        self.request_steps, self.policy = self.client._operations.request_steps, self.client._operations.policy
        self.policy._clock = self.request_steps._clock = lambda: self.now
        monkeypatch.setattr("tfs_deploy.client.client_base.time.sleep", self._sleep)
        monkeypatch.setattr("tfs_deploy.client.call.retries.random.random", lambda: 0.0)

    def perform(self, call: Any) -> bytes:
        self.seen.append((call.path, call.body, round(call.timeout, 6)))
        if self.faults:
            fault = self.faults.pop(0)
            self.now += call.timeout if isinstance(fault, DeadlineExceededError) else 0.25
            raise fault
        return self.tiny.answer(call.path, call.body)

    def _sleep(self, seconds: float) -> None:
        self.seen.append(("sleep", None, round(seconds, 6)))
        self.now += seconds

    def started(self, _record: Any) -> None:
        """Nothing to do."""

    def finished(self, record: Any) -> None:
        self.records.append(
            (record.attempts, record.bytes_sent, record.bytes_received, record.status, record.version, record.seconds)
        )

    def outcome(self, faults: list[TfsDeployError], *, planned: bool, **more: Any) -> Any:
        self.faults = list(faults)
        self.seen.clear()
        self.records.clear()
        self.now = 100.0
        self.policy._budget = RetryBudget(self.policy.settings.retries, self.now)
        if not planned:
            self.request_steps._templates.forget()
        try:
            reply = self.client.predict("half", X, **more)
        except TfsDeployError as error:
            found: Any = type(error), str(error), error.hint
        else:
            found = reply["y"].tolist(), reply.version
        self.faults = []
        return found, list(self.seen), [tuple(np.round(record[-1:], 6)) + record[:-1] for record in self.records]


@given(
    faults=st.lists(st.sampled_from(FAULTS), max_size=6),
    attempt_timeout=st.sampled_from([None, 0.5, 4.0]),
    retries=st.sampled_from([Retries(), Retries(attempts=1), Retries(attempts=2)]),
    timeout=st.sampled_from([None, 0.3, 2.0]),
    check=st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_failures_end_as_they_do_on_the_long_way(new_server, faults, attempt_timeout, retries, timeout, check):
    with pytest.MonkeyPatch.context() as monkeypatch:
        lab = Lab(new_server(), monkeypatch, attempt_timeout=attempt_timeout, retries=retries, check=check)
        lab.client.predict("half", X)
        long = lab.outcome(faults, planned=False, timeout=timeout)
        lab.policy._budget.tokens = retries.reserve
        lab.client.predict("half", X)
        lab.policy._budget.tokens = retries.reserve
        short = lab.outcome(faults, planned=True, timeout=timeout)
    assert short == long


def test_a_planned_request_takes_no_steps(tiny, monkeypatch):
    lab = Lab(tiny, monkeypatch)
    lab.client.predict("half", X)
    monkeypatch.setattr(lab.request_steps, "predict", lambda *_, **__: pytest.fail("the long way was taken"))
    reply = lab.client.predict("half", {"x": np.array([6, 8], np.float32)})
    assert reply["y"].tolist() == [3, 4]
    assert lab.client.stats().calls == 2


NAMES = st.sampled_from(["x", "y", "image"])
ARRAYS = hnp.arrays(
    st.sampled_from(["<f4", "<f8", ">f4", "<i4", "<i8", "|b1", "|u1", "<c8", "<f2"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
VALUES = st.one_of(
    ARRAYS, ARRAYS.map(np.transpose), st.just("text"), st.just([1, 2]), st.just(np.array([b"s"], object))
)
CALLS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["half", "other"]),
        "inputs": st.dictionaries(NAMES, VALUES, min_size=1, max_size=2),
        "where": st.sampled_from([{}, {"label": "stable"}, {"version": 1}, {"version": 2}]),
        "signature": st.sampled_from([None, "two"]),
        "output_filter": st.sampled_from([(), ("y",), ("y", "z")]),
    }
)


@given(st.lists(CALLS, min_size=2, max_size=6))
def test_every_request_says_what_it_was_given(calls):
    sent: list[bytes] = []
    reply = codec.encode_predict_response({"y": np.ones(2)}, model="half", version=1, signature="s")

    class Transport:
        def perform(self, call: Any) -> bytes:
            sent.append(call.body)
            return reply

    client = ClientBase(GrpcDialect(), [Transport()], Settings(check=False), transport_name="grpc")
    for call in [*calls, *calls]:
        options = {"signature": call["signature"], "output_filter": call["output_filter"], **call["where"]}
        client.predict(call["model"], call["inputs"], **options)
        assert sent.pop() == codec.encode_predict_request(call["model"], call["inputs"], **options)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (np.array([2, 4], np.float64), "expects float32"),
        (np.array([[2, 4]], np.float32), "expects float32"),
        (["two"], "expects float32"),
    ],
)
def test_what_is_not_like_the_earlier_one_is_checked(tiny, monkeypatch, value, complaint):
    lab = Lab(tiny, monkeypatch)
    lab.client.predict("half", X)
    sent = len(lab.seen)
    with pytest.raises(RequestError, match=complaint):
        lab.client.predict("half", {"x": value})
    # nothing but a second look at the signatures
    assert all(path.endswith("GetModelMetadata") for path, _, _ in lab.seen[sent:])


@pytest.mark.parametrize("value", [np.array([9, 2, 9, 4], np.float32)[1::2], np.array([2, 4], ">f4"), [2.0, 4.0]])
def test_arrays_that_are_more_than_their_memory_arrive_too(tiny, monkeypatch, value):
    lab = Lab(tiny, monkeypatch)
    for _ in range(3):
        lab.client.predict("half", X)
        assert lab.client.predict("half", {"x": value})["y"].tolist() == [1, 2]


def test_a_new_version_with_another_signature_is_found_out(tiny, new_model, monkeypatch):
    lab = Lab(tiny, monkeypatch)
    for _ in range(3):
        lab.client.predict("half", X)
    tiny.versions = {2: new_model(dtype="int32")}
    with pytest.raises(RequestError, match="expects int32"):
        lab.client.predict("half", X)
    assert lab.client.predict("half", {"x": np.array([2, 4], np.int32)}).version == 2


def test_a_reload_forgets_what_was_checked(tiny, monkeypatch):
    lab = Lab(tiny, monkeypatch)
    lab.client.predict("half", X)
    lab.client.reload("")
    tiny.calls.clear()
    lab.client.predict("half", X)
    assert tiny.calls == ["GetModelMetadata", "Predict"]


def test_each_call_sends_its_own_headers_and_token(tiny, monkeypatch):
    tokens = iter("abcdef")
    lab = Lab(tiny, monkeypatch, token=lambda: next(tokens), headers={"team": "vision"})
    sent: list[dict[str, str]] = []
    perform = lab.perform
    monkeypatch.setattr(lab, "perform", lambda call: (sent.append(dict(call.record.headers)), perform(call))[1])
    for number in range(3):
        lab.client.predict("half", X, headers={"number": str(number)})
    # the first call asks for the metadata, with the same headers
    assert sent[1:] == [
        {"team": "vision", "number": str(number), "authorization": f"Bearer {token}"}
        for number, token in enumerate("abc")
    ]


def test_a_real_server_is_called_the_short_way_by_both_clients(tiny, grpc_address):
    async def awaited() -> None:
        async with AsyncClient(grpc_address) as client:
            for _ in range(3):
                assert (await client.predict("half", X))["y"].tolist() == [1, 2]
            tiny.versions.clear()
            with pytest.raises(NotFoundError):
                await client.predict("half", X)
            assert client.stats().failed == {"NOT_FOUND": 1}

    with Client(grpc_address) as client:
        for _ in range(3):
            assert client.predict("half", X)["y"].tolist() == [1, 2]
    asyncio.run(awaited())


def test_the_bytes_around_arrays_are_the_request_without_them():
    inputs = {"a": np.arange(3.0), "b": np.zeros((2, 0), np.int8), "c": np.float32([[1], [2]])}
    frame = frame_predict_request("m", inputs, label="stable", output_filter=("y",))
    assert frame is not None
    body = b"".join(
        part for head, array in zip(frame, inputs.values(), strict=False) for part in (head, array.tobytes())
    )
    assert body + frame[-1] == codec.encode_predict_request("m", inputs, label="stable", output_filter=("y",))


@pytest.mark.parametrize(
    "value",
    [
        np.ones(4, ml_dtypes.bfloat16),
        np.array(["a"]),
        np.ones(4)[::2],
        np.ones(4, ">i4"),
        [1.0],
        np.array([b""], object),
    ],
)
def test_what_is_more_than_its_memory_has_no_frame(value):
    assert frame_predict_request("m", {"ok": np.ones(1), "x": value}) is None


def test_two_gigabytes_have_no_frame():
    assert frame_predict_request("m", {"x": np.broadcast_to(np.float32(0), 2**29)}) is None
    assert frame_predict_request("m", {"x": np.empty(2**29, np.float32)}) is None
