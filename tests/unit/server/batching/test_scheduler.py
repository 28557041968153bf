# SPDX-License-Identifier: Apache-2.0
"""How batches are formed, and which requests are refused (shared_batch_scheduler.h)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tfs_deploy.errors import InvalidArgumentError, ResourceExhaustedError, StatusError, UnavailableError
from tfs_deploy.server.batching.options import BatchOptions
from tfs_deploy.server.batching.scheduler import BatchQueue, BatchScheduler, BatchTask

OPEN = 60.0


class Idle:
    """A scheduler without threads: batches stay where they are put."""

    def __init__(self) -> None:
        self.changed = threading.Condition()


def queue(**options: Any) -> BatchQueue:
    settings = {"max_batch_size": 4, "max_execution_size": 4, "timeout_seconds": OPEN, "max_enqueued": 3, **options}
    return BatchQueue(Idle(), BatchOptions(**settings), lambda _tasks: None)  # type: ignore[arg-type]


def rows(count: int, start: int = 0) -> dict[str, Any]:
    return {"x": np.arange(start, start + count)}


SPLIT = {"split_large": True, "max_batch_size": 16}
FULL = "The batch scheduling queue to which this task was submitted is full; "


@pytest.mark.parametrize(
    ("options", "sizes", "batches"),
    [
        ({}, [1, 3], [[1, 3]]),
        ({}, [3, 2, 2], [[3], [2, 2]]),
        ({}, [4, 4, 1], [[4], [4], [1]]),
        # a small task does not overtake: only the last batch is open
        ({}, [3, 2, 1, 1], [[3], [2, 1, 1]]),
        (SPLIT, [10], [[4], [4], [2]]),
        (SPLIT, [3, 6], [[3, 1], [4], [1]]),
        (SPLIT, [4, 5], [[4], [4], [1]]),
        (SPLIT, [3, 1, 4], [[3, 1], [4]]),
    ],
)
def test_tasks_fill_batches(options: dict[str, Any], sizes: list[int], batches: list[list[int]]) -> None:
    q = queue(**options)
    for size in sizes:
        parts = q.submit(rows(size), size, None)
        assert np.concatenate([part.inputs["x"] for part in parts]).tolist() == list(range(size))
    assert [[task.size for task in batch.tasks] for batch in q.batches] == batches


@pytest.mark.parametrize(
    ("options", "before", "size", "error"),
    [
        ({}, [], 5, InvalidArgumentError("Task size 5 is larger than maximum input batch size 4")),
        ({}, [4, 4, 4], 1, UnavailableError(f"{FULL}currently 3 batches enqueued and max_enqueued_batches is 3")),
        ({}, [4, 4, 3], 2, UnavailableError(f"{FULL}currently 3 batches enqueued and max_enqueued_batches is 3")),
        ({}, [4, 4, 3], 1, None),
        (SPLIT, [4, 4, 3], 1, None),
        (
            SPLIT,
            [4, 3],
            6,
            UnavailableError(
                f"{FULL}task size is 6 but scheduling capacity is only 5 (num_enqueued_batches=2, "
                "max_enqueued_batches=3, open_batch_size=3, max_execution_batch_size=4)"
            ),
        ),
        (
            SPLIT,
            [],
            13,
            UnavailableError(
                f"{FULL}task size is 13 but scheduling capacity is only 12 (num_enqueued_batches=1, "
                "max_enqueued_batches=3, open_batch_size=0, max_execution_batch_size=4)"
            ),
        ),
    ],
)
def test_a_full_queue_refuses(options: dict[str, Any], before: list[int], size: int, error: StatusError | None) -> None:
    q = queue(**options)
    for count in before:
        q.submit(rows(count), count, None)
    if error is None:
        q.submit(rows(size), size, None)
        return
    with pytest.raises(type(error)) as caught:
        q.submit(rows(size), size, None)
    assert caught.value.message == error.message
    assert sum(batch.size for batch in q.batches) == sum(before)


@pytest.mark.parametrize(
    ("sizes", "waited", "due"),
    [([], 0.0, None), ([1], 0.0, 2.0), ([1], 1.5, 0.5), ([1], 3.0, 0.0), ([4], 0.0, 0.0), ([3, 2], 0.0, 0.0)],
)
def test_when_a_batch_is_due(sizes: list[int], waited: float, due: float | None) -> None:
    q = queue(timeout_seconds=2.0)
    for size in sizes:
        q.submit(rows(size), size, None)
    opened = q.batches[0].opened if q.batches else 0.0
    found = q.due_in(opened + waited)
    assert found == (None if due is None else pytest.approx(due, abs=1e-3))


def test_a_closed_queue_does_not_wait() -> None:
    q = queue()
    q.submit(rows(1), 1, None)
    q.closed = True
    assert q.due_in(time.monotonic()) == 0.0


@pytest.fixture
def scheduler() -> Iterator[BatchScheduler]:
    made = BatchScheduler(2)
    yield made
    made.stop()


def answering(seen: list[int]) -> Callable[[Sequence[BatchTask]], None]:
    def process(tasks: Sequence[BatchTask]) -> None:
        seen.append(sum(task.size for task in tasks))
        for task in tasks:
            task.finish([task.inputs["x"]], None)

    return process


def test_a_full_batch_runs_although_its_timeout_is_long(scheduler: BatchScheduler) -> None:
    seen: list[int] = []
    q = scheduler.queue(BatchOptions(4, 4, OPEN), answering(seen))
    first = q.submit(rows(1), 1, None)
    second = q.submit(rows(3, 1), 3, None)
    assert first[0].wait()[0].tolist() == [0]
    assert second[0].wait()[0].tolist() == [1, 2, 3]
    assert seen == [4]


def test_closing_runs_what_waits(scheduler: BatchScheduler) -> None:
    seen: list[int] = []
    q = scheduler.queue(BatchOptions(4, 4, OPEN), answering(seen))
    (task,) = q.submit(rows(2), 2, None)
    q.close()
    assert task.wait()[0].tolist() == [0, 1]
    assert seen == [2]


def test_a_batch_that_raises_fails_alone(scheduler: BatchScheduler) -> None:
    def process(tasks: Sequence[BatchTask]) -> None:
        if tasks[0].inputs["x"][0] == 0:
            raise ValueError("broken")
        tasks[0].finish([1], None)

    q = scheduler.queue(BatchOptions(1, 1, 0.0), process)
    (bad,) = q.submit(rows(1), 1, None)
    with pytest.raises(StatusError, match="the batch failed"):
        bad.wait()
    (good,) = q.submit(rows(1, 7), 1, None)
    assert good.wait() == [1]


def test_many_threads_lose_no_task(scheduler: BatchScheduler) -> None:
    seen: list[int] = []
    q = scheduler.queue(BatchOptions(8, 8, 0.001, max_enqueued=1000), answering(seen))
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(50):
            size = 1 + (number + turn) % 3
            (task,) = q.submit(rows(size, turn), size, time.monotonic() + OPEN)
            if task.wait()[0].tolist() != list(range(turn, turn + size)):
                wrong.append(turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(seen) == sum(1 + (number + turn) % 3 for number in range(8) for turn in range(50))


def test_a_task_not_begun_at_its_deadline_is_given_up() -> None:
    (task,) = queue().submit(rows(1), 1, time.monotonic() + 0.01)
    with pytest.raises(ResourceExhaustedError, match=r"^Run\(\) timeout exceeded while waiting in batching queue$"):
        task.wait()
