# SPDX-License-Identifier: Apache-2.0
"""Collects requests into batches and runs them in a few threads that all queues share.

(tensorflow/core/kernels/batching_util/shared_batch_scheduler.h)
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import (
    CancelledError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    StatusError,
    UnavailableError,
)
from tfs_deploy.server.workers import current_job

if TYPE_CHECKING:
    from tfs_deploy.server.batching.options import BatchOptions


_log = logging.getLogger(__name__)

#: how often a queue that is being closed looks whether its batches are taken
_CLOSE_SECONDS = 0.005


def expired() -> StatusError:
    """Return the error of a task whose deadline passed before its batch ran."""
    return ResourceExhaustedError("Run() timeout exceeded while waiting in batching queue")


class BatchTask:
    """One request, or a part of one: ``inputs`` are arrays of ``size`` rows."""

    __slots__ = ("_done", "deadline", "enqueued", "error", "inputs", "left", "result", "size", "taken")

    def __init__(self, inputs: Mapping[str, Any], size: int, deadline: float | None, enqueued: float) -> None:
        self.inputs = inputs
        self.size = size
        self.deadline = deadline
        self.enqueued = enqueued
        self.taken = False
        #: its caller has gone
        self.left = False
        self.result: list[Any] | None = None
        self.error: StatusError | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def finish(self, result: list[Any] | None, error: StatusError | None) -> None:
        """Hand the result, or the error, to the thread that waits."""
        self.result, self.error = result, error
        if self._done.locked():
            self._done.release()

    def leave(self) -> None:
        """Give up: what has not begun will not be run."""
        self.left = True
        self.finish(None, CancelledError("the caller has gone"))

    def wait(self) -> list[Any]:
        """Return the result; raises the error, or ``ResourceExhaustedError`` if it has not begun at its deadline.

        A task of a job that is abandoned leaves.
        """
        job = current_job()
        if job is None:
            return self._wait()
        job.waits(self.leave)
        try:
            return self._wait()
        finally:
            job.waits(None)

    def _wait(self) -> list[Any]:
        if self.deadline is None:
            self._done.acquire()
        elif not self._done.acquire(timeout=max(0.0, self.deadline - time.monotonic())):
            if not self.taken:
                raise expired()
            # the batch has its own limit of time
            self._done.acquire()
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


Process = Callable[[Sequence[BatchTask]], None]


class _Batch:
    __slots__ = ("opened", "size", "tasks")

    def __init__(self, opened: float) -> None:
        self.tasks: list[BatchTask] = []
        self.size = 0
        self.opened = opened

    def add(self, task: BatchTask) -> None:
        self.tasks.append(task)
        self.size += task.size


class BatchQueue:
    """The batches of one signature of one version, oldest first; made by ``BatchScheduler.queue``.

    Only the last batch is open for tasks; the original also keeps an empty one behind the others.
    """

    def __init__(self, scheduler: BatchScheduler, options: BatchOptions, process: Process) -> None:
        self._scheduler = scheduler
        self.options = options
        self.process = process
        self.batches: deque[_Batch] = deque()
        self.closed = False

    def submit(self, inputs: Mapping[str, Any], size: int, deadline: float | None) -> list[BatchTask]:
        """Enqueue a request of ``size`` rows; it may be cut into several tasks, in order.

        Raises:
            InvalidArgumentError: it is larger than ``max_batch_size``.
            UnavailableError: too many batches wait already.
        """
        now = time.monotonic()
        tasks: list[BatchTask] = []
        with self._scheduler.changed:
            self._check_room(size)
            opened = 0
            for start, stop in self._parts(size):
                part = inputs if stop - start == size else {name: each[start:stop] for name, each in inputs.items()}
                tasks.append(BatchTask(part, stop - start, deadline, now))
                opened += self._add(tasks[-1], now)
            last = self.batches[-1]
            # a batch that was open before is due when it was
            if opened or last.size >= self.options.max_execution_size:
                self._scheduler.changed.notify(max(1, opened))
        return tasks

    def _free(self) -> int:
        """Return how many rows the open batch still takes."""
        taken = self.batches[-1].size if self.batches else 0
        return self.options.max_execution_size - taken

    def _parts(self, size: int) -> list[tuple[int, int]]:
        """Cut a request: what the open batch takes, then whole batches, then the rest (input_split_metadata.h)."""
        free = self._free()
        if not self.options.split_large or size <= free:
            return [(0, size)]
        starts = [*((0,) if free else ()), *range(free, size, self.options.max_execution_size)]
        return list(zip(starts, [*starts[1:], size], strict=True))

    def _add(self, task: BatchTask, now: float) -> int:
        """Put a task into the open batch, or into a new one; return how many batches that opened."""
        fresh = not self.batches or task.size > self._free()
        if fresh:
            self.batches.append(_Batch(now))
        self.batches[-1].add(task)
        return int(fresh)

    def _check_room(self, size: int) -> None:
        options = self.options
        if size > options.max_batch_size:
            raise InvalidArgumentError(
                f"Task size {size} is larger than maximum input batch size {options.max_batch_size}"
            )
        # the open batch counts even while it is empty
        waiting = max(1, len(self.batches))
        full = "The batch scheduling queue to which this task was submitted is full; "
        if options.split_large:
            capacity = (options.max_enqueued - waiting) * options.max_execution_size + self._free()
            if size > capacity:
                raise UnavailableError(
                    f"{full}task size is {size} but scheduling capacity is only {capacity} "
                    f"(num_enqueued_batches={waiting}, max_enqueued_batches={options.max_enqueued}, "
                    f"open_batch_size={options.max_execution_size - self._free()}, "
                    f"max_execution_batch_size={options.max_execution_size})"
                )
        elif size > self._free() and waiting >= options.max_enqueued:
            raise UnavailableError(
                f"{full}currently {waiting} batches enqueued and max_enqueued_batches is {options.max_enqueued}"
            )

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds the oldest batch should run, ``None`` without a batch."""
        if not self.batches:
            return None
        first = self.batches[0]
        if self.closed or len(self.batches) > 1 or first.size >= self.options.max_execution_size:
            return 0.0
        return max(0.0, first.opened + self.options.timeout_seconds - now)

    def take(self) -> _Batch:
        """Remove and return the oldest batch; its tasks have begun from now on."""
        batch = self.batches.popleft()
        for task in batch.tasks:
            task.taken = True
        return batch

    def close(self) -> None:
        """Accept no more tasks; those that wait run at once."""
        self._scheduler.remove(self)


class BatchScheduler:
    """The threads that run batches, taking turns over the queues."""

    def __init__(self, threads: int) -> None:
        self.changed = threading.Condition()
        self._queues: deque[BatchQueue] = deque()
        self._stopped = False
        self._threads = [threading.Thread(target=self._run, name="batch", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def queue(self, options: BatchOptions, process: Process) -> BatchQueue:
        """Add a queue; ``process`` is called with the tasks of a batch and must finish each."""
        queue = BatchQueue(self, options, process)
        with self.changed:
            self._queues.append(queue)
        return queue

    def remove(self, queue: BatchQueue) -> None:
        """Drop a queue once its batches are taken."""
        with self.changed:
            queue.closed = True
            self.changed.notify_all()
        while queue.batches and not self._stopped:
            time.sleep(_CLOSE_SECONDS)
        with self.changed:
            if queue in self._queues:
                self._queues.remove(queue)

    def stop(self) -> None:
        """End the threads after the batches that wait."""
        with self.changed:
            self._stopped = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            queue, batch = taken
            try:
                queue.process(batch.tasks)
            except Exception:  # noqa: BLE001 - only this batch fails
                _log.exception("a batch failed")
                for task in batch.tasks:
                    task.finish(None, InternalError("the batch failed; the server's log has the details"))

    def _take(self) -> tuple[BatchQueue, _Batch] | None:
        with self.changed:
            while True:
                now = time.monotonic()
                soonest: float | None = None
                for _ in range(len(self._queues)):
                    queue = self._queues[0]
                    self._queues.rotate(-1)
                    due = queue.due_in(now)
                    if due is not None and (due <= 0 or self._stopped):
                        return queue, queue.take()
                    if due is not None:
                        soonest = due if soonest is None else min(soonest, due)
                if self._stopped:
                    return None
                self.changed.wait(soonest)
