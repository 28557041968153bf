# SPDX-License-Identifier: Apache-2.0
"""The pool of threads: jobs that are abandoned are not begun, and keep no place if they run on."""

from __future__ import annotations

import threading

import grpc
import numpy as np
import pytest

from support.live import until
from tfs_deploy.server.batching.options import BatchOptions
from tfs_deploy.server.batching.scheduler import BatchScheduler, BatchTask
from tfs_deploy.server.grpc.handlers import bytes_handler
from tfs_deploy.server.workers import WorkerPool, current_job


def test_a_job_that_waits_is_not_begun_and_its_arguments_are_freed() -> None:
    pool, go, ran = WorkerPool(1, "t"), threading.Event(), []
    busy = pool.submit(go.wait, 60)
    waiting = pool.submit(ran.append, "abandoned")
    last = pool.submit(ran.append, "last")
    waiting.abandon()
    assert waiting.call is None
    go.set()
    until(lambda: ran)
    assert ran == ["last"]
    done: list[object] = []
    for job in (busy, last):
        job.add_done_callback(done.append)
    until(lambda: len(done) == 2)


def test_a_job_that_runs_on_gives_its_place_to_the_next_and_takes_it_back_later() -> None:
    pool, go, threads = WorkerPool(1, "t"), threading.Event(), []
    stuck = [pool.submit(go.wait, 60)]
    stuck[0].abandon()
    for _ in range(3):
        stuck.append(pool.submit(go.wait, 60))
        until(lambda: stuck[-1].running)
        stuck[-1].abandon()
    pool.submit(lambda: threads.append(threading.current_thread()))
    until(lambda: threads)
    assert pool._staying == 4
    go.set()
    until(lambda: not pool._staying)
    assert pool._count == 1
    for job in stuck:
        job.abandon()  # too late to count
    assert pool._staying == 0


def test_only_so_many_jobs_run_on() -> None:
    pool, go = WorkerPool(1, "t"), threading.Event()
    for _ in range(80):
        pool.submit(go.wait, 60).abandon()
    assert pool._staying == 64
    go.set()
    until(lambda: not pool._staying)


def test_a_job_that_waits_for_a_batch_leaves_it() -> None:
    batches: list[list[BatchTask]] = []
    scheduler = BatchScheduler(1)
    queue = scheduler.queue(
        BatchOptions(max_batch_size=4, timeout_seconds=3600), lambda batch: batches.append([*batch])
    )
    pool, ended = WorkerPool(1, "t"), []

    def wait() -> None:
        try:
            queue.submit({"x": np.zeros(1)}, 1, None)[0].wait()
        finally:
            ended.append(True)

    job = pool.submit(wait)
    until(lambda: queue.batches)
    task = queue.batches[0].tasks[0]
    job.abandon()
    until(lambda: ended)
    assert task.left
    scheduler.stop()


def test_a_call_that_is_cancelled_while_a_function_runs_takes_no_thread_from_others() -> None:
    go, begun = threading.Event(), threading.Event()

    def answer(request: bytes, _context: grpc.ServicerContext) -> bytes:
        if request == b"slow":
            begun.set()
            assert go.wait(60)
        return request

    methods = {"M": bytes_handler(answer, None)}
    server = grpc.server(WorkerPool(1, "t"), handlers=[grpc.method_handlers_generic_handler("S", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/S/M")
        slow = call.future(b"slow")
        assert begun.wait(60)
        slow.cancel()
        assert call(b"quick", timeout=60) == b"quick"
        begun.clear()
        with pytest.raises(grpc.RpcError) as refused:
            call(b"slow", timeout=0.1)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert call(b"quick", timeout=60) == b"quick"
    go.set()
    server.stop(0).wait()


def test_current_job_is_that_of_the_thread() -> None:
    pool, seen = WorkerPool(1, "t"), []
    job = pool.submit(lambda: seen.append(current_job()))
    until(lambda: seen)
    assert seen == [job]
    assert current_job() is None
