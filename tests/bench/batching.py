# SPDX-License-Identifier: Apache-2.0
"""The embedded server's batching against TensorFlow's own batch scheduler (the BatchFunction op), side by side.

Run: python tests/bench/batching.py [cases load]     (prints a table; exits 1 if a limit is missed)

``cases``: the same scripted arrivals to both; every request must end the same way, in a batch of the same size.
``load``: the same closed loop of single-row requests to two embedded servers. One batches by its batching file; the
other serves the model with the op around its graph, so that the kernel's scheduler batches. Ratios are medians of
interleaved rounds. Takes about four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from batching_cases import CASES, run_case  # noqa: E402
from batching_models import Parameters, make  # noqa: E402
from server_load import PREDICT, Process, Table, cpu_seconds, embedded, percentile  # noqa: E402

from tfs_deploy import codec  # noqa: E402

BODY = codec.encode_predict_request("default", {"x": np.array([1], np.float32)})
#: model -> its parameters, and how many requests are on their way at a time
LOADS = {
    "cheap": (Parameters(max_batch=32, timeout_micros=1000, threads=2, enqueued=100), (1, 8, 32)),
    "work": (Parameters(max_batch=16, timeout_micros=2000, threads=2, enqueued=100, allowed=(4, 8, 16)), (8, 32)),
}
ROUNDS = 5


@dataclass
class Round:
    """What one closed loop saw."""

    per_second: float
    p50: float
    p99: float
    cpu: float
    batch: float


async def _loop(address: str, calls: int, concurrent: int) -> tuple[list[float], list[bytes], float]:
    seconds: list[float] = []
    replies: list[bytes] = []
    left = iter(range(calls))
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(PREDICT)

        async def work() -> None:
            for _ in left:
                started = time.perf_counter()
                replies.append(await call(BODY, timeout=30))
                seconds.append(time.perf_counter() - started)

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(concurrent)))
        return seconds, replies, time.perf_counter() - started


def measure(process: Process, calls: int, concurrent: int) -> Round:
    """Offer the load once."""
    before = cpu_seconds(process.pid)
    seconds, replies, took = asyncio.run(_loop(process.grpc_address, calls, concurrent))
    cpu = cpu_seconds(process.pid) - before
    sizes = [int(codec.decode_predict_response(reply)["rows"][0]) for reply in replies]
    return Round(
        per_second=calls / took,
        p50=percentile(seconds, 0.5) * 1000,
        p99=percentile(seconds, 0.99) * 1000,
        cpu=cpu / calls * 1e6,
        # each row knows the size of its batch, so a batch of n counts n times
        batch=calls / sum(1 / size for size in sizes),
    )


def bench_load(table: Table, folder: Path) -> None:
    """Throughput, latency, processor time and batch sizes under the same load."""
    for kind, (parameters, at_once) in LOADS.items():
        plain = make(folder / kind, kind, None)
        wrapped = make(folder / f"{kind}_op", kind, parameters)
        file = folder / f"{kind}.batching"
        file.write_text(parameters.text())
        with (
            embedded(
                f"--model_base_path={plain}",
                "--grpc_max_threads=64",
                "--enable_batching=true",
                f"--batching_parameters_file={file}",
            ) as ours,
            embedded(f"--model_base_path={wrapped}", "--grpc_max_threads=64") as op,
        ):
            for concurrent in at_once:
                _compare(table, f"{kind}, {concurrent} at a time", ours, op, concurrent)


def _compare(table: Table, what: str, ours: Process, op: Process, concurrent: int) -> None:
    calls = 400 if concurrent == 1 else 2000
    for process in (ours, op):
        measure(process, calls // 4, concurrent)
    pairs = [(measure(ours, calls, concurrent), measure(op, calls, concurrent)) for _ in range(ROUNDS)]

    def median(name: str, side: int) -> float:
        return statistics.median(getattr(pair[side], name) for pair in pairs)

    def ratio(name: str) -> float:
        return statistics.median(getattr(a, name) / getattr(b, name) for a, b in pairs)

    for name, unit in (("per_second", "/s"), ("p50", "ms"), ("p99", "ms"), ("cpu", "us"), ("batch", "rows")):
        table.row(f"{what}: {name}, op {median(name, 1):.2f}, ours", median(name, 0), unit)
    table.row("  throughput, ours / op", ratio("per_second"), "x", 0.9, least=True)
    table.row("  p50, ours / op", ratio("p50"), "x", 1.15)
    table.row("  p99, ours / op", ratio("p99"), "x", 1.25)
    table.row("  server CPU, ours / op", ratio("cpu"), "x", 1.15)


def bench_cases(table: Table, folder: Path) -> None:
    """Scripted arrivals to both schedulers."""
    for case in CASES:
        ours, op = run_case(case, folder)
        print(
            f"{case.name}: {', '.join(ours)}" + ("" if ours == op else f"   BUT the original: {', '.join(op)}"),
            flush=True,
        )
        table.row(
            f"{case.name}: requests that end otherwise", sum(a != b for a, b in zip(ours, op, strict=True)), "", 0
        )


PARTS = {"cases": bench_cases, "load": bench_load}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="only these")
    chosen = parser.parse_args().parts or list(PARTS)
    table = Table()
    table.head()
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen:
            PARTS[part](table, Path(folder))
    return int(table.missed)


if __name__ == "__main__":
    sys.exit(main())
