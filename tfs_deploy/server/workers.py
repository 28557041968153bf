# SPDX-License-Identifier: Apache-2.0
"""The threads that answer requests: a pool that costs less than the standard one.

The thread that became idle last is woken first, as its stack and caches are still warm; a request costs a lock and a
wake-up instead of a future with a condition of its own. A job whose caller has gone is abandoned: it is not started,
does not wait for its batch, and what cannot be interrupted keeps its thread, but not the place of that thread.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tfs_deploy.errors import CancelledError, ResourceExhaustedError

_log = logging.getLogger(__name__)

#: abandoned jobs that run on beside those of the pool; more of them keep the places of their threads
_MOST_ABANDONED: Final = 64

_of_thread = threading.local()


def current_job() -> Job | None:
    """Return the job that this thread runs."""
    return getattr(_of_thread, "job", None)


def raise_if_abandoned() -> None:
    """Raise a ``CancelledError`` if the caller of this thread's job has gone."""
    job = current_job()
    if job is not None and job.abandoned:
        raise CancelledError("the caller has gone")


class Job:
    """What ``submit`` returns: the part of a future that gRPC uses, and a way to give up."""

    __slots__ = ("_callbacks", "_done", "_lock", "_pool", "_withdraw", "abandoned", "call", "left", "running", "stays")

    def __init__(self, pool: WorkerPool, call: Callable[[], Any]) -> None:
        self._pool = pool
        self._lock = threading.Lock()
        self._done = False
        self._callbacks: list[Callable[[Any], Any]] = []
        self._withdraw: Callable[[], None] | None = None
        #: what to run; nothing once it has ended, or was abandoned before it began
        self.call: Callable[[], Any] | None = call
        self.running = False
        self.abandoned = False
        #: its thread has gone on to the next one
        self.left = False
        #: runs on although it was abandoned, in a thread that the pool has replaced
        self.stays = False

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Call ``callback`` when the job is done, at once if it is."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def finish(self) -> None:
        """Mark the job as done; it cannot be abandoned any more."""
        if self._done:
            return
        with self._lock:
            self._done = True
            callbacks, self._callbacks = self._callbacks, []
        self.call = self._withdraw = None
        for callback in callbacks:
            callback(self)

    def abandon(self) -> None:
        """Give up: the caller has gone. Does nothing once the job is done."""
        with self._lock:
            if self._done or self.abandoned:
                return
            self.abandoned = True
            withdraw = self._withdraw
        self._pool.replace(self)
        if withdraw is not None:
            withdraw()

    def waits(self, withdraw: Callable[[], None] | None) -> None:
        """Say that the job waits for something, and what ends that; ``None`` once it waits no more."""
        with self._lock:
            self._withdraw = withdraw
            abandoned = self.abandoned
        if abandoned and withdraw is not None:
            withdraw()


class CallLimit:
    """Admits a number of requests at a time and refuses the others, as the server's thread limit does."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside >= self._limit:
                raise ResourceExhaustedError("Server Threadpool Exhausted")
            self._inside += 1

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._inside -= 1


class _Worker:
    """A thread's next job, and the lock that wakes it."""

    __slots__ = ("job", "wake")

    def __init__(self) -> None:
        self.job: Job | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class WorkerPool:
    """Runs jobs in up to ``threads`` threads; more jobs wait in order."""

    def __init__(self, threads: int, name: str) -> None:
        self._limit = threads
        self._name = name
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._count = 0
        self._staying = 0
        self._stopped = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Job:
        """Run a function in one of the threads."""
        job = Job(self, functools.partial(function, *args, **kwargs))
        with self._lock:
            if self._stopped:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._idle:
                job.running = True
                worker = self._idle.pop()
                worker.job = job
                worker.wake.release()
            elif self._count < self._limit:
                self._begin_thread(job)
            else:
                self._waiting.append(job)
        return job

    def _begin_thread(self, job: Job) -> None:
        job.running = True
        self._count += 1
        threading.Thread(target=self._run, args=(job,), name=f"{self._name}-{self._count}", daemon=True).start()

    def replace(self, job: Job) -> None:
        """Free what an abandoned job holds: its memory if it has not begun, else the place of its thread."""
        with self._lock:
            if not job.running:
                job.call = None
            elif not job.left and self._staying < _MOST_ABANDONED:
                job.stays = True
                self._staying += 1
                self._count -= 1
                if not self._stopped and (waiting := self._next_waiting()) is not None:
                    self._begin_thread(waiting)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Accept no more jobs; idle threads end."""
        del wait
        with self._lock:
            self._stopped = True
            if cancel_futures:
                self._waiting.clear()
            for worker in self._idle:
                worker.wake.release()
            self._idle.clear()

    def _run(self, job: Job | None) -> None:
        worker = _Worker()
        while job is not None:
            _of_thread.job = job
            try:
                if (call := job.call) is not None:
                    call()
            except Exception:  # noqa: BLE001 - gRPC answers its own failures; this keeps the thread
                _log.exception("a request failed outside its handler")
            _of_thread.job = None
            job.finish()
            del call
            job = self._next(worker, job)

    def _next(self, worker: _Worker, ended: Job) -> Job | None:
        with self._lock:
            ended.left = True
            if ended.stays:
                self._staying -= 1
                if self._count >= self._limit:
                    return None
                self._count += 1
            if (job := self._next_waiting()) is not None:
                job.running = True
                return job
            if self._stopped:
                return None
            worker.job = None
            self._idle.append(worker)
        worker.wake.acquire()
        return worker.job

    def _next_waiting(self) -> Job | None:
        while self._waiting:
            if (job := self._waiting.popleft()).call is not None:
                return job
        return None
