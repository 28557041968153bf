# SPDX-License-Identifier: Apache-2.0
"""Scripted arrivals, run against the server's batching session and against TensorFlow's BatchFunction op.

The op's threads hand a batch to the graph and do not wait for it, those of TensorFlow Serving's BatchingSession do. So
cases with busy threads have what BatchingSession does written down instead (shared_batch_scheduler.h).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from batching_models import Parameters, make

from tfs_deploy import protos
from tfs_deploy.errors import StatusError
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.server.batching.options import batch_options
from tfs_deploy.server.batching.runner import BatchingRunner
from tfs_deploy.server.batching.scheduler import BatchScheduler
from tfs_deploy.server.metrics import ServerMetrics


@dataclass(frozen=True)
class Case:
    """Requests at given milliseconds: (when, rows, how many milliseconds its batch computes if it is the first).

    ``expected`` is what the op would do if its threads waited for the graph.
    """

    name: str
    parameters: Parameters
    arrivals: tuple[tuple[int, int, float], ...]
    expected: tuple[str, ...] = ()


_LONG = 400_000
_FULL = "UNAVAILABLE The batch scheduling queue to which this task was submitted is full; currently"
#: two full batches with 300 ms of work each, so that both threads are taken
_BUSY = ((0, 4, 300.0), (30, 4, 300.0))

CASES = (
    Case("one request waits for the timeout", Parameters(4, 100_000), ((0, 1, 0.0),)),
    Case("arrivals within the timeout share a batch", Parameters(8, _LONG), ((0, 1, 0.0), (50, 2, 0.0), (100, 3, 0.0))),
    Case("a full batch does not wait", Parameters(4, 10_000_000), ((0, 1, 0.0), (30, 3, 0.0))),
    Case("what does not fit opens the next batch", Parameters(4, _LONG), ((0, 3, 0.0), (50, 2, 0.0), (100, 2, 0.0))),
    Case("timeout 0 runs at once while a thread is free", Parameters(8, 0), ((0, 1, 0.0), (60, 1, 0.0))),
    Case(
        "timeout 0 batches what arrives while threads are busy",
        Parameters(4, 0),
        (*_BUSY, (80, 1, 0.0), (100, 1, 0.0), (120, 2, 0.0), (140, 1, 0.0)),
        ("4 in 4", "4 in 4", "1 in 4", "1 in 4", "2 in 4", "1 in 1"),
    ),
    Case("allowed sizes pad", Parameters(8, _LONG, allowed=(2, 5, 8)), ((0, 1, 0.0), (50, 2, 0.0))),
    Case("an allowed size needs no padding", Parameters(8, 50_000, allowed=(2, 5, 8)), ((0, 2, 0.0), (200, 5, 0.0))),
    Case("a request larger than a batch", Parameters(4, 50_000), ((0, 5, 0.0), (30, 4, 0.0))),
    Case(
        "the queue is full",
        Parameters(4, _LONG, enqueued=1),
        (*_BUSY, (80, 4, 0.0), (110, 1, 0.0), (140, 4, 0.0)),
        (
            *("4 in 4", "4 in 4", "4 in 4"),
            f"1: {_FULL} 1 batches enqueued and max_enqueued_batches is 1",
            f"4: {_FULL} 1 batches enqueued and max_enqueued_batches is 1",
        ),
    ),
    Case(
        "the open batch of a full queue still takes rows",
        Parameters(4, 0, enqueued=2),
        (*_BUSY, (80, 3, 0.0), (100, 3, 0.0), (120, 2, 0.0), (140, 1, 0.0)),
        (
            *("4 in 4", "4 in 4", "3 in 3", "3 in 4"),
            f"2: {_FULL} 2 batches enqueued and max_enqueued_batches is 2",
            "1 in 4",
        ),
    ),
    Case(
        "a large request is cut over batches",
        Parameters(16, _LONG, allowed=(1, 2, 4), max_execution=4),
        ((0, 10, 0.0),),
    ),
    Case(
        "a large request fills the open batch first",
        Parameters(16, _LONG, allowed=(1, 2, 4), max_execution=4),
        ((0, 3, 0.0), (50, 6, 0.0)),
    ),
    Case(
        "a large request beyond the queue's capacity",
        Parameters(32, _LONG, enqueued=2, allowed=(1, 2, 4), max_execution=4),
        ((0, 9, 0.0), (50, 8, 0.0)),
    ),
)


def run_case(case: Case, folder: Path) -> tuple[list[str], list[str]]:
    """Return how each request ended: ours, and the op's (or what is expected)."""
    plain = make(folder / "spin", "spin", None) if not (folder / "spin").exists() else folder / "spin"
    message = protos.parse_text(case.parameters.text(), protos.BatchingParameters())
    options = batch_options(message)
    scheduler = BatchScheduler(options.threads)
    runner = BatchingRunner(Engine.load(plain / "1"), options, scheduler, ServerMetrics())
    try:
        ours = _play(runner, case)
    finally:
        runner.close()
        scheduler.stop()
    if case.expected:
        return ours, list(case.expected)
    with Engine.load(make(folder / f"case{CASES.index(case)}", "spin", case.parameters) / "1") as engine:
        return ours, _play(engine, case)


def _play(runner: BatchingRunner | Engine, case: Case) -> list[str]:
    engine = runner if isinstance(runner, Engine) else runner._engine
    signature = engine.signatures["serving_default"]
    (feed,) = (spec.tensor for spec in signature.inputs.values())
    fetches = [spec.tensor for spec in signature.outputs.values()]
    rows = list(signature.outputs).index("rows")
    # the first run optimises the graph; full batches do not wait
    size = case.parameters.max_execution or case.parameters.max_batch
    for _ in range(2):
        runner.compute({feed: np.zeros(size, np.float32)}, fetches)
    begun = time.monotonic() + 0.05

    def request(at: int, size: int, milliseconds: float) -> str:
        time.sleep(max(0.0, begun + at / 1000 - time.monotonic()))
        array = np.full(size, milliseconds, np.float32)
        try:
            results = runner.compute({feed: array}, fetches)
        except StatusError as error:
            return f"{size}: {error.code.name} {_known_text(error.message)}"
        return f"{size} in {'+'.join(str(each) for each in _runs(results[rows].tolist()))}"

    with ThreadPoolExecutor(len(case.arrivals)) as pool:
        return list(pool.map(lambda arrival: request(*arrival), case.arrivals))


def _runs(sizes: list[int]) -> list[int]:
    """The sizes of the batches that a request's rows were computed in, without repetitions in a row."""
    return [size for index, size in enumerate(sizes) if not index or sizes[index - 1] != size]


def _known_text(message: str) -> str:
    """The scheduler's own sentence, without where in the graph the op stands."""
    for begin in ("Task size", "The batch scheduling queue"):
        if begin in message:
            return message[message.index(begin) :].partition("\n")[0].partition("[[")[0].strip()
    return message
