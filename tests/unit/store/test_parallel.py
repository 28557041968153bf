# SPDX-License-Identifier: Apache-2.0
"""Many files at once: each exactly once, no more begun after a failure, no item taken before its time."""

from __future__ import annotations

import threading

import pytest

from tfs_deploy.store.parallel import THREADS, in_parallel


def test_each_item_is_done_once_and_several_at_a_time():
    together, done = threading.Barrier(THREADS), []

    def work(item: int) -> None:
        if item < THREADS:
            together.wait(30)
        done.append(item)

    in_parallel(work, range(1000))
    assert sorted(done) == list(range(1000))
    in_parallel(work, [])


@pytest.mark.parametrize("failure", [OSError("disk full"), StopIteration(), KeyboardInterrupt()])
def test_the_first_failure_is_raised_and_no_more_is_begun(failure):
    taken = []

    def items():
        for number in range(100_000):
            taken.append(number)
            yield number

    def work(item: int) -> None:
        if item == 20:
            raise failure

    with pytest.raises(type(failure)) as raised:
        in_parallel(work, items())
    assert raised.value is failure
    assert len(taken) < 100_000


def test_items_that_cannot_be_listed_are_a_failure():
    def items():
        yield 1
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        in_parallel(lambda _: None, items())
