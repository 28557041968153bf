# SPDX-License-Identifier: Apache-2.0
"""The retry decision: which errors are retried, after which pause, within which budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.client.call.retries import Retries, RetryBudget, is_refusal, retry_after
from tfs_deploy.errors import (
    Code,
    ResourceExhaustedError,
    UnavailableError,
    UsageError,
    status_error,
)

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


def test_what_the_server_gave_up_is_tried_again_only_if_that_is_wanted():
    gave_up = status_error(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification", reached=True)
    assert decide(gave_up) is None
    assert decide(gave_up, retries=Retries(idempotent=True)) > 0
    assert decide(gave_up, failures=6, retries=Retries(idempotent=True)) is None


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


def test_a_retry_needs_more_time_than_its_pause_and_the_shortest_attempt(monkeypatch):
    monkeypatch.setattr(Retries, "pause", lambda self, failures: 0.25)
    assert decide(DOWN, left=0.255) is None
    assert decide(DOWN, left=0.26) == 0.25
    late = status_error(Code.DEADLINE_EXCEEDED, "no answer")
    assert decide(late, left=0.005) is None
    assert decide(late, left=0.006) == 0.0


def test_what_is_not_said_about_retries():
    retries = Retries()
    assert (retries.attempts, retries.first_pause, retries.longest_pause) == (6, 0.05, 1.0)
    assert (retries.reserve, retries.per_second, retries.per_call, retries.idempotent) == (100.0, 10.0, 0.2, False)


def test_calls_earn_no_more_than_the_reserve():
    budget = RetryBudget(Retries(reserve=2, per_second=0, per_call=1.0), 0.0)
    budget.earn()
    assert budget.tokens == 2
    assert [budget.spend(1.0, 0.0) for _ in range(3)] == [True, True, False]
    budget.earn()
    assert budget.tokens == 1.0
    assert budget.spend(1.0, 0.0)


def test_refusals_before_a_failure_take_no_attempt_away():
    retries = Retries(attempts=2)
    for failures, refusals, again in ((1, 0, True), (2, 0, False), (2, 1, True), (3, 1, False), (9, 8, True)):
        found = retry_after(
            *(DOWN,),
            failures=failures,
            refusals=refusals,
            left=10.0,
            retries=retries,
            budget=RetryBudget(retries, 0.0),
            now=0.0,
        )
        assert (found is not None) is again


@pytest.mark.parametrize("text", ["Server Threadpool Exhausted", "Concurrent RPC limit exceeded!"])
def test_refusals_of_both_servers_are_known(text):
    assert is_refusal(ResourceExhaustedError(text))
    assert not is_refusal(UnavailableError(text))
    assert not is_refusal(ResourceExhaustedError("message larger than max"))
