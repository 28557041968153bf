"""Collects tasks into batches and runs them in a few threads that all queues share.

(tensorflow/core/kernels/batching_util/shared_batch_scheduler.h)
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import DeadlineExceededError, InternalError, StatusError, UnavailableError

if TYPE_CHECKING:
    from tfs_deploy.server.batch_options import BatchOptions


_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Task:
    """One request, or a part of one: ``size`` rows of ``inputs``; its result or error is there once ``done`` is set."""

    inputs: dict[str, Any]
    size: int
    deadline: float | None
    enqueued: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    result: list[Any] | None = None
    error: StatusError | None = None

    def finish(self, result: list[Any] | None, error: StatusError | None) -> None:
        """Hand the result to whoever waits."""
        self.result, self.error = result, error
        self.done.set()

    def wait(self) -> list[Any]:
        """Return the result; raises the error, or ``DeadlineExceededError`` once the deadline has passed."""
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if not self.done.wait(left):
            raise DeadlineExceededError("Run() timeout exceeded while waiting in batching queue")
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


Process = Callable[[Sequence[Task]], None]


class _Batch:
    __slots__ = ("closed", "opened", "size", "tasks")

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.size = 0
        self.opened = time.monotonic()
        self.closed = False

    def add(self, task: Task) -> None:
        self.tasks.append(task)
        self.size += task.size


class BatchQueue:
    """The batches of one signature of one version, the oldest first; made by ``BatchScheduler.queue``."""

    def __init__(self, scheduler: BatchScheduler, options: BatchOptions, process: Process) -> None:
        self._scheduler = scheduler
        self.options = options
        self.process = process
        self.batches: deque[_Batch] = deque()

    def submit(self, tasks: Sequence[Task]) -> None:
        """Enqueue the parts of one request, all or none.

        Raises:
            UnavailableError: too many batches wait already.
        """
        with self._scheduler.changed:
            self._check_room(tasks)
            for task in tasks:
                self._open_batch(task.size).add(task)
                if self.batches[-1].size >= self.options.max_execution_size:
                    self.batches[-1].closed = True
            self._scheduler.changed.notify()

    def _open_batch(self, size: int) -> _Batch:
        if self.batches:
            last = self.batches[-1]
            if not last.closed and last.size + size <= self.options.max_execution_size:
                return last
            last.closed = True
        self.batches.append(_Batch())
        return self.batches[-1]

    def _check_room(self, tasks: Sequence[Task]) -> None:
        last = self.batches[-1] if self.batches else None
        free = 0 if last is None or last.closed else self.options.max_execution_size - last.size
        needed = len(self.batches)
        for task in tasks:
            if task.size <= free:
                free -= task.size
            else:
                needed += 1
                free = self.options.max_execution_size - task.size
        if needed > self.options.max_enqueued:
            raise UnavailableError(
                "The batch scheduling queue to which this task was submitted is full; currently "
                f"{len(self.batches)} batches enqueued and max_enqueued_batches is {self.options.max_enqueued}"
            )

    def due_in(self, now: float) -> float | None:
        """Return in how many seconds the oldest batch should run, ``None`` if there is none."""
        if not self.batches:
            return None
        first = self.batches[0]
        return 0.0 if first.closed else max(0.0, first.opened + self.options.timeout_seconds - now)

    def close(self) -> None:
        """Take no more tasks; those that wait still run."""
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
            while queue.batches and not self._stopped:
                self.changed.wait(0.01)
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
                        return queue, queue.batches.popleft()
                    if due is not None:
                        soonest = due if soonest is None else min(soonest, due)
                if self._stopped:
                    return None
                self.changed.wait(soonest)
