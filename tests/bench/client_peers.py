# SPDX-License-Identifier: Apache-2.0
"""What other clients cost on the same server in the same run; the CPU of a REST call; the size of the base install.

Run: python tests/bench/client_peers.py [--offline]     (prints a table; exits 1 when a target is missed)

Installs the base package, ovmsclient and min-tfs-client into a temporary directory with pip; --offline leaves that
out. Peers that do not install, or do not run, say so in the table.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from codec_and_client import SMALL, UNLIMITED, Table, judged, paired

from tfs_deploy import codec, protos
from tfs_deploy.client import Client, RestClient
from tfs_deploy.protos import methods

ROOT = Path(__file__).parents[2]
#: 4.8 MB
IMAGES = np.random.default_rng(0).random((8, 224, 224, 3), np.float32)
ROWS = np.random.default_rng(1).random((1000, 100), np.float32)
SERVER = """
import sys
from tfs_deploy.server.testing import function_model, serve_models
shapes = {"rows": (None, 100), "floats": (None,), "images": (None, 224, 224, 3)}
models = {
    name: function_model(lambda x: {"y": x}, inputs={"x": ("float32", shape)}, outputs={"y": ("float32", shape)})
    for name, shape in shapes.items()
}
with serve_models(models) as server:
    print(server.grpc_address, server.rest_url, flush=True)
    sys.stdin.read()
"""
#: what the peers below share: milliseconds of a round trip, median of several
MEASURE = """
import json, statistics, sys, time
began = time.perf_counter()
{imports}
imported = time.perf_counter() - began
import numpy as np
address = sys.argv[1]
{setup}
found = {{"import": imported}}
for name, shape, calls in (("floats", (10,), 200), ("images", (8, 224, 224, 3), 10)):
    x = np.random.default_rng(0).random(shape, np.float32)
    seconds = []
    for _ in range(calls):
        started = time.perf_counter()
        y = {call}
        seconds.append(time.perf_counter() - started)
    assert np.asarray(y).size == x.size, y
    found[name] = statistics.median(seconds)
print(json.dumps(found))
"""
PEERS = {
    "ovmsclient": {
        "imports": "from ovmsclient import make_grpc_client",
        "setup": "client = make_grpc_client(address)",
        "call": "client.predict({'x': x}, name, 1)",
    },
    "min-tfs-client": {
        "imports": "from min_tfs_client.requests import TensorServingClient\n"
        "from min_tfs_client.tensors import tensor_proto_to_ndarray",
        "setup": "host, port = address.split(':'); client = TensorServingClient(host=host, port=int(port))",
        "call": "tensor_proto_to_ndarray(client.predict_request(name, {'x': x}, model_version=1).outputs['y'])",
    },
}


@contextlib.contextmanager
def server() -> Iterator[tuple[str, str]]:
    """Serve functions that return their input; yield the addresses."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        grpc_address, rest_url = process.stdout.readline().split()
        yield grpc_address, rest_url
    finally:
        process.stdin.close()
        process.wait(20)


def processor(call: Callable[[], Any], calls: int) -> float:
    """Seconds of processor time that one call costs this process."""
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) / calls


def bench_rest(table: Table, url: str) -> None:
    import requests

    session = requests.Session()

    def usual() -> Any:
        body = json.dumps({"inputs": {"x": ROWS.tolist()}})
        reply = session.post(f"{url}/v1/models/rows:predict", data=body, timeout=60)
        return np.array(json.loads(reply.content)["outputs"], np.float32)

    with session, RestClient(url, timeout=60) as client:
        ours = functools.partial(client.predict, "rows", {"x": ROWS})
        assert np.array_equal(usual(), ours()["y"])
        costs = [(processor(usual, 5), processor(ours, 5)) for _ in range(7)]
    ratio = statistics.median(theirs / mine for theirs, mine in costs)
    table.row("REST, 1,000 x 100 floats: CPU of requests + json + tolist()", min(costs)[0] * 1e6, "us")
    table.row("  that / RestClient", ratio, "x", ">= 3", ok=ratio >= 3)


def bench_peers(table: Table, address: str) -> None:
    """Round trips of what is installed here: ours, the official API, plain protobuf, raw bytes."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    with Client(address, timeout=60) as client, grpc.insecure_channel(address, UNLIMITED) as channel:
        raw = channel.unary_unary(methods.PREDICT)
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def official(model: str, array: Any) -> Any:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model
            request.inputs["x"].CopyFrom(tf.make_tensor_proto(array))
            return tf.make_ndarray(stub.Predict(request, timeout=60).outputs["y"])

        def plain(model: str, array: Any) -> Any:
            request = protos.PredictRequest()
            request.model_spec.name = model
            tensor = request.inputs["x"]
            tensor.dtype = 1
            for size in array.shape:
                tensor.tensor_shape.dim.add(size=size)
            tensor.tensor_content = array.tobytes()
            reply = protos.PredictResponse.FromString(raw(request.SerializeToString(), timeout=60))
            values = reply.outputs["y"]
            content = values.tensor_content
            flat = np.frombuffer(content, np.float32) if content else np.array(values.float_val, np.float32)
            return flat.reshape(array.shape)

        for title, model, array, calls in (("10 floats", "floats", SMALL, 200), ("4.8 MB", "images", IMAGES, 6)):
            body = codec.encode_predict_request(model, {"x": array})
            ready = functools.partial(raw, body, timeout=60)
            others = {
                "Client": functools.partial(client.predict, model, {"x": array}),
                "plain protobuf, tensor_content": functools.partial(plain, model, array),
                "tensorflow-serving-api, make_tensor_proto, make_ndarray": functools.partial(official, model, array),
            }
            for index, (name, call) in enumerate(others.items()):
                base, ratio = judged(paired((ready, call), 5, calls, 0.0))
                if not index:
                    table.row(f"round trip {title}: raw gRPC, ready-made bytes", base, "us")
                table.row(f"  {name} / raw", ratio, "x")


def bench_installed(table: Table, folder: Path, address: str) -> None:
    """Peers that are installed for this run, each in a process of its own."""
    for name, code in PEERS.items():
        problem = install(name, folder / name)
        if problem is not None:
            table.note(f"{name}: does not install: {problem}")
            continue
        for title, more in (("", {}), (", pure Python protobuf", {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"})):
            result = subprocess.run(
                [interpreter(), "-s", "-c", MEASURE.format(**code), address],
                capture_output=True,
                text=True,
                timeout=300,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(folder / name), **more},
            )
            if not result.returncode:
                found = json.loads(result.stdout)
                table.row(f"{name}{title}: import", found["import"] * 1e6, "us")
                table.row("  round trip 10 floats", found["floats"] * 1e6, "us")
                table.row("  round trip 4.8 MB", found["images"] * 1e6, "us")
                break
            table.note(f"{name}{title}: does not run: {reason(result.stderr)}")


def bench_size(table: Table, folder: Path) -> None:
    """Install the package with its base dependencies only."""
    problem = install(str(ROOT), folder / "base")
    if problem is not None:
        table.row(f"base install: {problem}", 0.0, "MB", "<= 110", ok=False)
        return
    files = [path for path in (folder / "base").rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_blocks * 512 for path in files) / 1e6
    table.row("base install with numpy, grpcio, protobuf", size, "MB", "<= 110", ok=size <= 110)
    own = sum(path.stat().st_size for path in files if "tfs_deploy" in path.parts) / 1e6
    table.row("  of that tfs_deploy", own, "MB")
    names = sorted(path.name for path in (folder / "base").glob("*.dist-info"))
    table.note(f"  holds {', '.join(name.removesuffix('.dist-info') for name in names)}")


def install(what: str, folder: Path) -> str | None:
    """Install into a folder; return why it did not work."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    try:
        result = subprocess.run([*command, str(folder), what], capture_output=True, text=True, timeout=240)
    except subprocess.TimeoutExpired:
        return "pip took more than 240 s"
    return reason(result.stderr) if result.returncode else None


def interpreter() -> str:
    """The Python outside of this virtual environment, which must not lend the peers its packages."""
    return getattr(sys, "_base_executable", sys.executable)


def reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    named = [line for line in lines if "Error" in line and not line.startswith(("raise", "File"))]
    return (named or lines or ["no reason given"])[-1][:150]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="install nothing")
    arguments = parser.parse_args()
    table = Table()
    table.head()
    with server() as (address, url), tempfile.TemporaryDirectory(prefix="tfs-deploy-bench-") as folder:
        bench_rest(table, url)
        bench_peers(table, address)
        if not arguments.offline:
            bench_installed(table, Path(folder), address)
            bench_size(table, Path(folder))
    return int(table.missed)


if __name__ == "__main__":
    sys.exit(main())
