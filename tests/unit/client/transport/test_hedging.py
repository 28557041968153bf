# SPDX-License-Identifier: Apache-2.0
"""A slow call is sent a second time, and the first answer counts."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.call_record import CallRecord
from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.transport.hedging import AsyncHedgedTransport, HedgedTransport, second_request
from tfs_deploy.errors import DeadlineExceededError, UnavailableError

SOON = 0.01
DOWN = UnavailableError("down")


class Servers:
    """Answers the calls in turn with bytes or an error, those of ``slow`` once another has failed, or the test ends."""

    def __init__(self, *answers: bytes | Exception, slow: tuple[int, ...] = ()) -> None:
        self.answers = answers
        self.slow = slow
        self.calls: list[Call] = []
        self.cancelled: list[int] = []
        #: the thread or task that sent each call
        self.senders: list[object] = []
        self.closed = False

    def _answer(self, number: int) -> bytes:
        answer = self.answers[number]
        if isinstance(answer, Exception):
            self.over.set()
            raise answer
        return answer


class Blocking(Servers):
    def __init__(self, *answers: bytes | Exception, slow: tuple[int, ...] = ()) -> None:
        super().__init__(*answers, slow=slow)
        self.over = threading.Event()

    def perform(self, call: Call) -> bytes:
        self.calls.append(call)
        self.senders.append(threading.current_thread())
        number = len(self.calls) - 1
        if number in self.slow:
            self.over.wait(30)
        return self._answer(number)

    def close(self) -> None:
        self.closed = True


class Awaited(Servers):
    async def perform(self, call: Call) -> bytes:
        if not self.calls:
            self.over = asyncio.Event()
        self.calls.append(call)
        self.senders.append(asyncio.current_task())
        number = len(self.calls) - 1
        if number in self.slow:
            try:
                await self.over.wait()
            except asyncio.CancelledError:
                self.cancelled.append(number)
                raise
        return self._answer(number)

    async def close(self) -> None:
        self.closed = True


def new_call(timeout: float = 30.0, *, may_retry: bool = True) -> Call:
    record = CallRecord("predict", ModelRef("m"), None, "grpc", {}, 0.0)
    record.attempts, record.bytes_sent = 1, 3
    return Call("/x", b"abc", timeout, time.monotonic() + timeout, may_retry=may_retry, record=record)


def answer(kind: str, servers: Servers, call: Call, after: float = SOON) -> bytes:
    if kind == "blocking":
        transport = HedgedTransport(servers, after)
        servers.caller = threading.current_thread()
        try:
            return transport.perform(call)
        finally:
            servers.over.set()
            transport.close()

    async def perform() -> bytes:
        transport = AsyncHedgedTransport(servers, after)
        servers.caller = asyncio.current_task()
        try:
            return await transport.perform(call)
        finally:
            await transport.close()

    return asyncio.run(perform())


@pytest.fixture(params=["blocking", "awaited"])
def kind(request):
    return request.param


@pytest.fixture
def servers(kind):
    return Blocking if kind == "blocking" else Awaited


def test_an_answer_in_time_is_the_only_one(kind, servers):
    there = servers(b"1")
    call = new_call()
    assert answer(kind, there, call, after=20.0) == b"1"
    assert (len(there.calls), call.record.hedges, call.record.bytes_sent) == (1, 0, 3)
    assert there.closed


def test_an_error_in_time_is_the_answer(kind, servers):
    with pytest.raises(UnavailableError):
        answer(kind, servers(DOWN), new_call(), after=20.0)


def test_a_slow_call_is_sent_again_and_the_first_answer_counts(kind, servers):
    there = servers(b"1", b"2", slow=(0,))
    call = new_call()
    assert answer(kind, there, call) == b"2"
    assert (len(there.calls), call.record.hedges, call.record.attempts, call.record.bytes_sent) == (2, 1, 1, 6)
    assert there.cancelled == ([] if kind == "blocking" else [0])


def test_an_error_of_one_is_not_that_of_the_call(kind, servers):
    there = servers(b"1", DOWN, slow=(0,))
    assert answer(kind, there, new_call()) == b"1"
    assert len(there.calls) == 2


def test_the_error_of_the_first_is_that_of_the_call_if_both_fail(kind, servers):
    there = servers(DeadlineExceededError("first"), UnavailableError("second"), slow=(0,))
    with pytest.raises(DeadlineExceededError, match="first"):
        answer(kind, there, new_call())


def test_a_call_that_may_not_be_repeated_and_one_without_time_are_sent_once(kind, servers):
    for call in (new_call(may_retry=False), new_call(SOON)):
        there = servers(b"1", b"2")
        assert answer(kind, there, call) == b"1"
        assert len(there.calls) == 1
        assert there.senders == [there.caller]  # nothing was set up to send it again


def test_a_call_with_a_little_more_time_is_hedged():
    there = Blocking(b"1", b"2", slow=(0,))
    assert answer("blocking", there, new_call(5.0), after=0.05) == b"2"


def test_the_deadline_ends_the_wait_for_servers_that_answer_nothing():
    there = Blocking(b"1", b"2", slow=(0, 1))
    with pytest.raises(DeadlineExceededError, match=r"no answer within 0\.1 s"):
        answer("blocking", there, new_call(0.1))


def test_the_second_request_has_what_is_left_and_goes_elsewhere():
    call = new_call(2.0)
    call.server, call.failed_servers = 1, (0,)
    second = second_request(call, 0.5)
    assert (second.timeout, second.end, second.message_timeout) == (1.5, call.end, 2.0)
    assert second.failed_servers == (0, 1)
    assert (call.record.hedges, call.record.bytes_sent) == (1, 6)
    call.server = None
    assert second_request(call, 0.5).failed_servers == (0,)
    assert second_request(Call("/x", None, 2.0), 0.5).timeout == 1.5
