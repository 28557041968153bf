# SPDX-License-Identifier: Apache-2.0
"""What the embedded server costs, against the limits it has to keep: processor time, memory, speed, pauses, leaks.

Run: python tests/bench/server.py [cpu large rest start reload leak]     (prints a table; exits 1 if a limit is missed)

All ratios are within the run, of interleaved rounds. ``rest`` needs Flask, which the development packages have.
Takes about five minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
from typing_extensions import Self

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from server_load import (  # noqa: E402
    PREDICT,
    UNLIMITED,
    Process,
    Table,
    baseline,
    cpu_per_call,
    embedded,
    memory_mb,
    percentile,
    reset_peak,
)

from support.live import until  # noqa: E402
from tfs_deploy import codec, protos  # noqa: E402
from tfs_deploy.client import Client  # noqa: E402
from tfs_deploy.errors import TfsDeployError  # noqa: E402

MODEL = ROOT / "data" / "models" / "saved_model_half_plus_two_cpu"
SMALL = codec.encode_predict_request("default", {"x": np.array([[1], [2], [5]], np.float32)})
MAKE_BIG = """
import sys, tensorflow as tf
class Big(tf.Module):
    def __init__(self):
        self.table = tf.Variable(tf.random.uniform([25_000, 1000]))
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "row")])
    def serve(self, row):
        return {"y": tf.gather(self.table, row)[:, :4]}
model = Big()
tf.saved_model.save(model, sys.argv[1], signatures=model.serve)
"""


def bench_cpu(table: Table) -> None:
    """Processor time per small Predict, 32 at a time."""
    with embedded(f"--model_base_path={MODEL}") as ours, baseline("grpc") as plain:
        for process in (ours, plain):
            cpu_per_call(process, SMALL, 2000)
        rounds = [(cpu_per_call(ours, SMALL, 4000), cpu_per_call(plain, SMALL, 4000)) for _ in range(9)]
    table.row("server CPU per small Predict, 32 concurrent", statistics.median(a for a, _ in rounds), "us")
    table.row("  plain grpc.server with TensorFlow's conversions", statistics.median(b for _, b in rounds), "us")
    table.row("  ours / plain", statistics.median(a / b for a, b in rounds), "x", 0.55)


def bench_large(table: Table) -> None:
    """Memory that 19 MB in and out take."""
    array = np.random.default_rng(0).random((32 * 224 * 224 * 3, 1), np.float32)
    megabytes = array.nbytes / 2**20
    body = codec.encode_predict_request("default", {"x": array})
    with (
        embedded(f"--model_base_path={MODEL}") as process,
        grpc.insecure_channel(process.grpc_address, UNLIMITED) as channel,
    ):
        call = channel.unary_unary(PREDICT)
        for _ in range(20):
            call(SMALL, timeout=60)
        idle = memory_mb(process.pid)
        peaks, seconds = [], []
        for _ in range(20):
            reset_peak(process.pid)
            started = time.perf_counter()
            call(body, timeout=60)
            seconds.append(time.perf_counter() - started)
            peaks.append((memory_mb(process.pid, "VmHWM") - idle) / megabytes)
        kept = (until(lambda: memory_mb(process.pid)) - idle) / megabytes
    table.row("19 MB of floats in and out: peak memory above idle", max(peaks), "x", 4.0)
    table.row("  kept afterwards", kept, "x")
    table.row("  a call", statistics.median(seconds) * 1000, "ms")
    table.row("  copies of the payload in our code", copies(array), "", 3)


def copies(array: np.ndarray) -> int:
    """Blocks as large as the payload that one call makes, from request bytes to reply bytes.

    The interpreter's own are counted by tracemalloc, the one that becomes the session's input tensor by its address.
    """
    import tracemalloc

    from tfs_deploy.server.data_plane import DataPlane
    from tfs_deploy.server.grpc.prediction_service import predict_answer
    from tfs_deploy.server.metrics import ServerMetrics
    from tfs_deploy.server.models.loader import LoaderOptions, SavedModelLoader
    from tfs_deploy.server.models.manager import ManagerOptions
    from tfs_deploy.server.models.server_core import ServerCore, ServerCoreOptions

    metrics = ServerMetrics()
    core = ServerCore(
        SavedModelLoader(LoaderOptions(), metrics), ServerCoreOptions(manager=ManagerOptions(load_retries=0))
    )
    config = protos.ModelServerConfig()
    config.model_config_list.config.add(name="default", base_path=str(MODEL), model_platform="tensorflow")
    core.reload(config)
    try:
        predict = predict_answer(DataPlane(core, metrics))
        body = codec.encode_predict_request("default", {"x": array})
        tracemalloc.start()
        reply = predict([body], SimpleNamespace(time_remaining=lambda: None))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(reply) > array.nbytes
        # one more: the copy into TensorFlow's own memory
        return round(peak / array.nbytes) + 1
    finally:
        core.stop()


def requests_per_second(process: Process, body: bytes, calls: int = 400, concurrent: int = 8) -> float:
    """REST predicts per second over kept-alive connections."""
    address = process.rest_url.removeprefix("http://")
    headers = {"Content-Type": "application/json"}

    def work(count: int) -> None:
        connection = HTTPConnection(address, timeout=60)
        for _ in range(count):
            connection.request("POST", "/v1/models/default:predict", body, headers)
            reply = connection.getresponse()
            reply.read()
            assert reply.status == 200
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(concurrent) as pool:
        list(pool.map(work, [calls // concurrent] * concurrent))
    return calls / (time.perf_counter() - started)


def bench_rest(table: Table) -> None:
    """REST predict of 1,000 x 10 floats against Flask."""
    rows = np.random.default_rng(0).random((1000, 10), np.float32).astype(float).round(6).tolist()
    body = json.dumps({"instances": rows}).encode()
    if importlib.util.find_spec("flask") is None:
        print(
            "REST against Flask: not measured: no Flask (pip install 'tf-serving-deploy[dev]')",
            flush=True,
        )
        table.missed = True
        return
    with embedded(f"--model_base_path={MODEL}") as ours, baseline("flask") as plain:
        for process in (ours, plain):
            requests_per_second(process, body, 80)
        rounds = [(requests_per_second(ours, body), requests_per_second(plain, body)) for _ in range(5)]
    table.row("REST predict of 1,000 x 10 floats", statistics.median(a for a, _ in rounds), "/s")
    table.row("  Flask with json and the same session call", statistics.median(b for _, b in rounds), "/s")
    table.row("  ours / Flask", statistics.median(a / b for a, b in rounds), "x", 2.0, least=True)


def bench_start(table: Table) -> None:
    """From the start of the process to its first reply."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        with embedded(f"--model_base_path={MODEL}") as process, Client(process.grpc_address) as client:
            client.predict("default", {"x": np.array([[1]], np.float32)})
            found.append(time.perf_counter() - started)
    table.row("start to first reply", statistics.median(found), "s", 4.0)


class Watch:
    """Keeps calling a model from a few threads and notes when each call began and how long it took."""

    def __init__(self, address: str, body: bytes, threads: int = 4) -> None:
        self.calls: list[tuple[float, float]] = []
        self.failures: list[str] = []
        self._channel = grpc.insecure_channel(address)
        self._call = self._channel.unary_unary(PREDICT)
        self._body = body
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        while not self._stop.wait(0.002):
            started = time.perf_counter()
            try:
                self._call(self._body, timeout=30)
            except grpc.RpcError as error:
                self.failures.append(str(error))
            self.calls.append((started, (time.perf_counter() - started) * 1000))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._channel.close()

    def between(self, begin: float, end: float) -> list[float]:
        """Milliseconds of the calls that ran within a span of time."""
        return [took for started, took in self.calls if started + took / 1000 >= begin and started <= end]


def bench_reload(table: Table) -> None:
    """Latency while another version of a 100 MB model loads and the one before it is unloaded."""
    with tempfile.TemporaryDirectory() as folder:
        base, made = Path(folder) / "big", Path(folder) / "made"
        subprocess.run([sys.executable, "-c", MAKE_BIG, str(made)], check=True, capture_output=True)
        shutil.copytree(made, base / "1")
        body = codec.encode_predict_request("big", {"row": np.array([1, 2], np.int32)})
        with (
            embedded("--model_name=big", f"--model_base_path={base}") as process,
            Client(process.grpc_address) as client,
            Watch(process.grpc_address, body) as watch,
        ):
            time.sleep(1.0)
            steady: list[float] = []
            loading: list[float] = []
            for version in range(2, 8):
                shutil.copytree(made, base / f"tmp{version}")
                calm = time.perf_counter()
                time.sleep(2.0)
                begin = time.perf_counter()
                steady += watch.between(calm, begin)
                (base / f"tmp{version}").rename(base / str(version))
                until(lambda last=version: _states(client).get(last - 1) == "END", seconds=60)
                loading += watch.between(begin, time.perf_counter())
                shutil.rmtree(base / str(version - 1))
    before, during = percentile(steady, 0.99), percentile(loading, 0.99)
    table.row("p99 of small calls, nothing loads", before, "ms")
    table.row("  while 100 MB load and 100 MB unload", during, "ms")
    table.row("  ratio", during / before, "x", 5.0)
    table.row("  the longest call", max(loading), "ms", 300.0)
    table.row("  failed calls", len(watch.failures), "", 0)


def _states(client: Client) -> dict[int, str]:
    return {state.version: state.state for state in client.status("big")}


def bench_leak(table: Table, cycles: int = 2000, at_once: int = 50) -> None:
    """Resident memory over loads and unloads of a small model, many in each reload of the config."""

    def config(names: list[str]) -> Any:
        message = protos.ModelServerConfig()
        message.model_config_list.SetInParent()
        for name in names:
            message.model_config_list.config.add(name=name, base_path=str(MODEL), model_platform="tensorflow")
        return message

    resident = []
    flags = ("--num_load_threads=2", "--num_unload_threads=2")
    with embedded(f"--model_base_path={MODEL}", *flags) as process, Client(process.grpc_address) as client:
        for turn in range((cycles + 200) // at_once):
            names = [f"m{turn % 4}_{number}" for number in range(at_once)]
            _patiently(lambda names=names: client.reload(config(["default", *names]), timeout=120))
            for name in names:
                client.predict(name, {"x": np.array([[1]], np.float32)})
            _patiently(lambda: client.reload(config(["default"]), timeout=120))
            until(lambda names=names: all(_ended(client, name) for name in names), seconds=60)
            resident.append(memory_mb(process.pid))
    warm = 200 // at_once
    settled, last = resident[warm - 1], statistics.median(resident[-3:])
    table.row(f"memory after 200 loads and unloads (idle {resident[0]:.0f} MB after {at_once})", settled, "MB")
    table.row(f"  after {cycles} more", last, "MB")
    table.row("  growth", (last / settled - 1) * 100, "%", 5.0)


def _patiently(action: Callable[[], Any]) -> None:
    """A model that is added again right after its removal may answer that it did not become available."""
    for _ in range(4):
        with contextlib.suppress(TfsDeployError):
            action()
            return
        time.sleep(0.5)
    action()


def _ended(client: Client, name: str) -> bool:
    return all(state.state == "END" for state in client.status(name))


PARTS = {
    "cpu": bench_cpu,
    "large": bench_large,
    "rest": bench_rest,
    "start": bench_start,
    "reload": bench_reload,
    "leak": bench_leak,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="only these")
    chosen = parser.parse_args().parts or list(PARTS)
    table = Table()
    table.head()
    for part in chosen:
        PARTS[part](table)
    return int(table.missed)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(main())
