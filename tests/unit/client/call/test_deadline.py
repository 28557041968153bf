# SPDX-License-Identifier: Apache-2.0
"""The moment by which a call has to be done, with a clock that the test moves."""

from __future__ import annotations

import math

import pytest

from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.deadline import LONGEST, Deadline
from tfs_deploy.errors import DeadlineExceededError, RequestError


@pytest.mark.parametrize("seconds", [0, 0.0, -1, math.inf, math.nan, True, "1", None])
def test_what_is_not_a_number_of_seconds_is_refused(seconds):
    with pytest.raises(RequestError, match="not a valid timeout"):
        Deadline(seconds, lambda: 0.0)


def test_it_counts_from_now_or_from_a_moment_that_is_given():
    assert Deadline(2, lambda: 100.0).remaining() == 2
    assert Deadline(0.5, lambda: 100.0, since=99.75).remaining() == 0.25
    assert Deadline(1e9, lambda: 0.0).remaining() == LONGEST == 1e6


def test_a_call_gets_what_is_left():
    now = [100.0]
    deadline = Deadline(4.0, lambda: now[0])
    call = deadline.limit(Call("/x", b""))
    assert (call.timeout, call.end, call.caller_timeout) == (4.0, 104.0, 4.0)
    now[0] = 101.0
    call = deadline.limit(Call("/x", b""), longest=2.0)
    assert (call.timeout, call.end, call.caller_timeout) == (2.0, 103.0, 0.0)
    call = deadline.limit(Call("/x", b""), longest=5.0)
    assert (call.timeout, call.end) == (3.0, 104.0)
    now[0] = 104.0
    with pytest.raises(DeadlineExceededError, match="no answer within 4 s"):
        deadline.limit(Call("/x", b""))
