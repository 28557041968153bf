# SPDX-License-Identifier: Apache-2.0
"""What encoding, decoding and a round trip cost, next to the official helpers and to raw gRPC, in one run.

Run: python tests/bench/codec_and_client.py [--no-server]      (prints a table; exits 1 when a target is missed)

Targets are ratios within the run, except the encoding of a small request, which is in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfs_deploy import codec
from tfs_deploy.client import AsyncClient, Client
from tfs_deploy.host.tcp_ports import free_ports
from tfs_deploy.protos import methods

MODELS = Path(__file__).parents[1] / "data" / "models"
SMALL = np.arange(10, dtype=np.float32)
IMAGES = np.random.default_rng(0).random((32, 224, 224, 3), np.float32)
MILLION = np.random.default_rng(0).random(1_000_000, np.float32)
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
BIG = {"signature": "uneven", "output_filter": ["y"]}
#: title, input, arguments of predict, rounds, calls of each in a round, limit of ours / raw
TRIPS = (
    ("10 floats", SMALL, {}, 15, 150, 1.10),
    ("4.8 MB", IMAGES[:8].reshape(-1), BIG, 9, 12, 1.25),
    ("19 MB", IMAGES.reshape(-1), BIG, 5, 6, 1.25),
)
#: seconds before each call: one after the other, and as a service that does other things in between
PAUSES = (0.0, 0.0005)


def best(function: Callable[[], Any], number: int, repeat: int = 7) -> float:
    """Microseconds of one call: the fastest of ``repeat`` runs of ``number`` calls."""
    runs = []
    for _ in range(repeat):
        started = time.perf_counter()
        for _ in range(number):
            function()
        runs.append((time.perf_counter() - started) / number)
    return min(runs) * 1e6


class Table:
    """Prints rows and remembers missed targets."""

    def __init__(self) -> None:
        self.missed = False

    def head(self) -> None:
        print(f"{'what':<66} {'measured':>11} {'':<3} {'limit':<9} holds", flush=True)

    def note(self, text: str) -> None:
        print(text, flush=True)

    def row(self, name: str, value: float, unit: str, target: str = "", *, ok: bool = True) -> None:
        self.missed |= not ok
        verdict = ("yes" if ok else "MISSED") if target else ""
        print(f"{name:<66} {value:>11.2f} {unit:<3} {target:<9} {verdict}".rstrip(), flush=True)


def bench_codec(table: Table) -> None:
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    def official_encode(array: Any) -> bytes:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "m"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(array))
        return request.SerializeToString()

    def official_decode(data: bytes) -> Any:
        return tf.make_ndarray(predict_pb2.PredictResponse.FromString(data).outputs["y"])

    small = best(lambda: codec.encode_predict_request("m", {"x": SMALL}), 20_000)
    table.row("encode 10 floats", small, "us", "<= 5 us", ok=small <= 5)
    table.row("  official: make_tensor_proto", best(lambda: official_encode(SMALL), 1000), "us")
    copy = best(IMAGES.copy, 3)
    images = best(lambda: codec.encode_predict_request("m", {"x": IMAGES}), 3)
    official = best(lambda: official_encode(IMAGES), 1, 5)
    table.row("encode 32x224x224x3 floats", images, "us")
    table.row("  in array.copy()", images / copy, "x", "<= 1.5", ok=images <= 1.5 * copy)
    table.row("  official / ours", official / images, "x", ">= 20", ok=official >= 20 * images)
    reply = codec.encode_predict_response({"y": MILLION}, model="m", version=1, signature="s")
    ours = best(lambda: codec.decode_predict_response(reply), 1000)
    theirs = best(lambda: official_decode(reply), 3)
    table.row("decode 1,000,000 floats from float_val", ours, "us")
    table.row("  official / ours", theirs / ours, "x", ">= 100", ok=theirs >= 100 * ours)
    numbers = codec.encode_predict_response({"y": np.arange(1_000_000)}, model="m", version=1, signature="s")
    table.row("decode 1,000,000 int64 from int64_val", best(lambda: codec.decode_predict_response(numbers), 3), "us")
    table.row("  official", best(lambda: official_decode(numbers), 3), "us")
    small_reply = codec.encode_predict_response({"y": SMALL}, model="m", version=1, signature="s")
    table.row("decode 10 floats", best(lambda: codec.decode_predict_response(small_reply), 20_000), "us")
    table.row("  official", best(lambda: official_decode(small_reply), 1000), "us")


Seconds: TypeAlias = "tuple[list[float], list[float]]"


def order(turn: int) -> tuple[int, int]:
    """Which of two calls comes first: by turns."""
    return (0, 1) if turn % 2 else (1, 0)


def judged(rounds: list[Seconds]) -> tuple[float, float]:
    """Microseconds of the first call and how many times as long the second takes: medians of the rounds' medians."""
    medians = [(statistics.median(first), statistics.median(second)) for first, second in rounds]
    return statistics.median(first for first, _ in medians) * 1e6, statistics.median(b / a for a, b in medians)


def paired(calls: tuple[Callable[[], Any], Callable[[], Any]], rounds: int, each: int, pause: float) -> list[Seconds]:
    """Seconds of two calls that take turns, so that both meet the same machine; ``pause`` seconds before each."""
    found: list[Seconds] = []
    for _ in range(rounds + 1):
        seconds: Seconds = ([], [])
        for turn in range(each):
            for which in order(turn):
                if pause:
                    time.sleep(pause)
                started = time.perf_counter()
                calls[which]()
                seconds[which].append(time.perf_counter() - started)
        found.append(seconds)
    return found[1:]


async def paired_awaited(calls: tuple[Callable[[], Any], Callable[[], Any]], rounds: int, each: int) -> list[Seconds]:
    """``paired``, awaited, without pauses."""
    found: list[Seconds] = []
    for _ in range(rounds + 1):
        seconds: Seconds = ([], [])
        for turn in range(each):
            for which in order(turn):
                started = time.perf_counter()
                await calls[which]()
                seconds[which].append(time.perf_counter() - started)
        found.append(seconds)
    return found[1:]


def bench_round_trip(table: Table, address: str) -> None:
    import grpc

    with Client(address, timeout=60) as client, grpc.insecure_channel(address, UNLIMITED) as channel:
        client.wait_ready("zoo", timeout=120)
        raw = channel.unary_unary(methods.PREDICT)
        for title, array, options, rounds, each, limit in TRIPS:
            for pause in PAUSES if array is SMALL else (0.0,):
                body = codec.encode_predict_request("zoo", {"x": array}, **options)
                calls = (
                    functools.partial(raw, body, timeout=60),
                    functools.partial(client.predict, "zoo", {"x": array}, **options),
                )
                base, ratio = judged(paired(calls, rounds, each, pause))
                paced = f", {pause * 1000:g} ms apart" if pause else ""
                table.row(f"round trip {title}{paced}: raw gRPC, ready-made bytes", base, "us")
                table.row("  Client / raw", ratio, "x", f"<= {limit}", ok=ratio <= limit)


async def bench_async(table: Table, address: str) -> None:
    import grpc

    async with AsyncClient(address, timeout=60) as client, grpc.aio.insecure_channel(address, UNLIMITED) as channel:
        raw = channel.unary_unary(methods.PREDICT)
        for title, array, options, rounds, each, limit in TRIPS:
            body = codec.encode_predict_request("zoo", {"x": array}, **options)
            calls = (
                functools.partial(raw, body, timeout=60),
                functools.partial(client.predict, "zoo", {"x": array}, **options),
            )
            base, ratio = judged(await paired_awaited(calls, rounds, each))
            table.row(f"awaited round trip {title}: raw grpc.aio, ready-made bytes", base, "us")
            table.row("  AsyncClient / raw", ratio, "x", f"<= {limit}", ok=ratio <= limit)
        body = codec.encode_predict_request("zoo", {"x": SMALL})
        rates: list[tuple[float, float]] = []
        for _ in range(7):
            theirs = await throughput(functools.partial(raw, body, timeout=60))
            rates.append((theirs, await throughput(functools.partial(client.predict, "zoo", {"x": SMALL}))))
        ratio = statistics.median(ours / theirs for theirs, ours in rates)
        base = statistics.median(theirs for theirs, _ in rates)
        table.row("32 concurrent: raw grpc.aio, ready-made bytes", base, "/s")
        table.row("  AsyncClient / raw", ratio, "x", ">= 0.85", ok=ratio >= 0.85)


async def throughput(call: Callable[[], Any], calls: int = 2000, concurrent: int = 32) -> float:
    """Calls per second."""
    left = iter(range(calls))

    async def work() -> None:
        for _ in left:
            await call()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrent)))
    return calls / (time.perf_counter() - started)


def serve() -> tuple[subprocess.Popen[bytes], str]:
    (port,) = free_ports(1)
    flags = [f"--port={port}", "--model_name=zoo", f"--model_base_path={MODELS / 'zoo'}", "--exit_with_parent"]
    command = [sys.executable, "-m", "tfs_deploy.server", *flags]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), f"127.0.0.1:{port}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-server", action="store_true", help="skip the round trips")
    arguments = parser.parse_args()
    table = Table()
    table.head()
    bench_codec(table)
    if not arguments.no_server:
        process, address = serve()
        try:
            bench_round_trip(table, address)
            asyncio.run(bench_async(table, address))
        finally:
            process.terminate()
            process.wait(20)
    return int(table.missed)


if __name__ == "__main__":
    sys.exit(main())
