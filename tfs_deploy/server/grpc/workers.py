"""The threads that answer gRPC requests: a pool that costs less than the standard one.

The thread that became idle last is woken first, as its stack and caches are still warm; a request costs a lock and a
wake-up instead of a future with a condition of its own.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from tfs_deploy.errors import ResourceExhaustedError

_log = logging.getLogger(__name__)

Job = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], "Pending"]


class Pending:
    """What ``submit`` returns: the part of a future that gRPC uses."""

    __slots__ = ("_callbacks", "_done", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = False
        self._callbacks: list[Callable[[Any], Any]] = []

    def add_done_callback(self, callback: Callable[[Any], Any]) -> None:
        """Call ``callback`` when the job is done, at once if it is."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def finish(self) -> None:
        """Mark the job as done."""
        with self._lock:
            self._done = True
            callbacks = self._callbacks
        for callback in callbacks:
            callback(self)


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
        self._stopped = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Pending:
        """Run a function in one of the threads."""
        pending = Pending()
        job = function, args, kwargs, pending
        with self._lock:
            if self._stopped:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._idle:
                worker = self._idle.pop()
                worker.job = job
                worker.wake.release()
            elif self._count < self._limit:
                self._count += 1
                threading.Thread(target=self._run, args=(job,), name=f"{self._name}-{self._count}", daemon=True).start()
            else:
                self._waiting.append(job)
        return pending

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
            function, args, kwargs, pending = job
            try:
                function(*args, **kwargs)
            except Exception:  # noqa: BLE001 - gRPC answers its own failures; this keeps the thread
                _log.exception("a request failed outside its handler")
            pending.finish()
            del job, function, args, kwargs, pending
            job = self._next(worker)

    def _next(self, worker: _Worker) -> Job | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            if self._stopped:
                return None
            worker.job = None
            self._idle.append(worker)
        worker.wake.acquire()
        return worker.job
