# SPDX-License-Identifier: Apache-2.0
"""What attacks on a server, a client and the tools cost: memory and seconds of the process that is attacked.

Run: python tests/bench/attacks.py [OTHER_TREE] [--only TEXT]
With the tree of another release each case is tried on both, so that the table says before and after. A case that takes
longer than a minute, or more than 6 GB, is ended, and the table says so. Memory is what the process grew by.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from support.hostile import one_reply_server  # noqa: E402
from support.live import free_ports, is_open, until  # noqa: E402
from tfs_deploy import protos  # noqa: E402
from tfs_deploy.codec.wire import varint  # noqa: E402

MODEL = ROOT / "tests/data/models/saved_model_half_plus_two_2_versions"
SECONDS, MEGABYTES = 60.0, 6000
HUGE = (1 << 26) - 1
PREDICT = "/tensorflow.serving.PredictionService/Predict"
RELOAD = "/tensorflow.serving.ModelService/HandleReloadConfigRequest"
CALL = """
import sys
from tfs_deploy import Client, RestClient
kind = {"grpc": Client, "rest": RestClient}[sys.argv[1]]
with kind(sys.argv[2], timeout=40, check=False) as client:
    client.predict("m", {"x": [1.0]}) if sys.argv[1] == "grpc" else client.status("m")
"""


@dataclass
class Watched:
    """A process whose memory is watched; one that goes beyond the limits is killed."""

    process: subprocess.Popen[bytes]
    before: float = 0.0
    highest: float = 0.0
    ended: str = ""

    def __post_init__(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()

    def memory(self) -> float:
        """Return its memory in MB."""
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        return 0.0

    def begin(self) -> float:
        """Count memory from here on; return the time."""
        self.before = self.highest = self.memory()
        return time.monotonic()

    def busy_seconds(self) -> float:
        """Return the processor time that it has used."""
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
        return 0.0

    def _watch(self) -> None:
        end = time.monotonic() + 3 * SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            self.highest = max(self.highest, self.memory())
            if self.highest > MEGABYTES:
                self.ended = "killed"
                self.process.kill()
            time.sleep(0.01)


def child(tree: Path, *words: str, seconds: float = SECONDS) -> tuple[float, float, str]:
    """Run Python with the package of a tree; memory, seconds, and how it ended."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"}
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watched = Watched(process)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        watched.ended = "did not end"
        process.kill()
        process.wait()
    return watched.highest, time.monotonic() - begun, watched.ended


@contextlib.contextmanager
def server(tree: Path, *flags: str) -> Iterator[tuple[Watched, int, int]]:
    """Run the embedded server of a tree with one model; yield it with its ports."""
    port, rest_port = free_ports(2)
    command = [sys.executable, "-m", "tfs_deploy.server", f"--port={port}", f"--rest_api_port={rest_port}"]
    command += ["--model_name=m", "--drain_seconds=1", *flags]
    if not any(flag.startswith("--model_base_path") for flag in flags):
        command.append(f"--model_base_path={MODEL}")
    environment = {**os.environ, "PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.Popen(command, env=environment, cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: is_open(port) and is_open(rest_port), 120)
        yield Watched(process), port, rest_port
    finally:
        process.kill()
        process.wait()


def call(tree: Path, method: str, data: bytes) -> tuple[float, float, str]:
    """Send a message to a server of a tree."""
    with server(tree) as (watched, port, _), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        begun, said = watched.begin(), "OK"
        try:
            channel.unary_unary(method)(data, timeout=SECONDS)
        except grpc.RpcError as error:
            said = error.code().name
        return watched.highest - watched.before, time.monotonic() - begun, watched.ended or said


def answered(tree: Path, reply: bytes) -> tuple[float, float, str]:
    """Answer a client of a tree with a message."""
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: reply)
    standing_in = grpc.server(futures.ThreadPoolExecutor(2))
    standing_in.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", {"Predict": handler})]
    )
    port = standing_in.add_insecure_port("127.0.0.1:0")
    standing_in.start()
    try:
        return child(tree, "-c", CALL, "grpc", f"127.0.0.1:{port}")
    finally:
        standing_in.stop(0)


def answered_over_rest(tree: Path, parts: Callable[[], Iterator[bytes]]) -> tuple[float, float, str]:
    with one_reply_server(parts) as address:
        return child(tree, "-c", CALL, "rest", f"http://{address}")


def told_to_end(tree: Path, body: bytes) -> tuple[float, float, str]:
    """Post a body, and send SIGTERM once it is worked on; the seconds are those until the server has ended."""
    with server(tree) as (watched, _, port), socket.create_connection(("127.0.0.1", port)) as connection:
        watched.begin()
        head = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        used = watched.busy_seconds()
        connection.sendall(head + body)
        with contextlib.suppress(AssertionError):
            until(lambda: watched.busy_seconds() > used + 0.5, 5)
        begun = time.monotonic()
        watched.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            watched.process.wait(SECONDS)
        code = watched.process.poll()
        said = "did not end" if code is None else f"exit {code}"
        return watched.highest - watched.before, time.monotonic() - begun, watched.ended or said


def pipelined(tree: Path) -> tuple[float, float, str]:
    with server(tree) as (watched, _, port), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        begun = watched.begin()
        with contextlib.suppress(OSError):
            connection.sendall(b"GET /v1/models/m HTTP/1.1\r\nHost: x\r\n\r\n" * 400_000)
        with contextlib.suppress(AssertionError):
            until(lambda: False, 3)  # what was taken in is worked on
        return watched.highest - watched.before, time.monotonic() - begun, watched.ended


def bad_name(tree: Path) -> tuple[float, float, str]:
    with tempfile.TemporaryDirectory() as folder:
        monitoring = Path(folder, "monitoring.config")
        monitoring.write_text('prometheus_config { enable: true, path: "/metrics" }')
        with server(tree, f"--monitoring_config_file={monitoring}") as (watched, _, port):
            begun = watched.begin()
            status = 0
            for method, path in (("POST", "/v1/models/%80:predict"), ("GET", "/metrics")):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request(method, path, b"{}" if method == "POST" else None)
                status = connection.getresponse().status
            return watched.highest - watched.before, time.monotonic() - begun, f"metrics page: {status}"


def new_version_after_nul(tree: Path) -> tuple[float, float, str]:
    """Reload with a NUL in a base path, then add a version on the disk; the seconds are those until it is served."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        shutil.copytree(MODEL / "00000123", base / "1")
        flags = f"--model_base_path={base}", "--file_system_poll_wait_seconds=1"
        with server(tree, *flags) as (watched, port, rest_port), grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(RELOAD).future(config(("m", str(base)), ("n", "/models\0/m")), timeout=20)
            call.exception()
            shutil.copytree(MODEL / "00000123", base / "new")
            (base / "new").rename(base / "2")
            begun = watched.begin()
            served = f"http://127.0.0.1:{rest_port}/v1/models/m/versions/2:predict"
            ask = ["curl", "-sf", "-d", '{"instances": [1.0]}', served]
            said = "did not come"
            with contextlib.suppress(AssertionError):
                until(lambda: subprocess.run(ask, capture_output=True, check=False).returncode == 0, 20)
                said = "OK"
            return watched.highest - watched.before, time.monotonic() - begun, said


def config(*models: tuple[str, str]) -> bytes:
    request = protos.ReloadConfigRequest()
    for name, path in models:
        request.config.model_config_list.config.add(name=name, base_path=path, model_platform="tensorflow")
    return bytes(request.SerializeToString())


def reload_behind(tree: Path) -> tuple[float, float, str]:
    """Reload with a base path without versions, and reload again; the seconds are those until that one is answered."""
    with (
        tempfile.TemporaryDirectory() as empty,
        server(tree) as (watched, port, _),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        reload = channel.unary_unary(RELOAD)
        first = reload.future(config(("m", str(MODEL)), ("n", empty)), timeout=SECONDS)
        with contextlib.suppress(AssertionError):
            until(first.done, 3)  # it has come first
        begun, said = watched.begin(), "OK"
        try:
            reload(config(("m", str(MODEL))), timeout=30)
        except grpc.RpcError as error:
            said = error.code().name
        return watched.highest - watched.before, time.monotonic() - begun, said


def tensor(shape: bytes, values: bytes, dtype: int = 1) -> bytes:
    return b"\x08" + bytes([dtype]) + shape + values


def field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def predict(*tensors: bytes) -> bytes:
    inputs = b"".join(
        field(2, field(1, b"x%d" % number if number else b"x") + field(2, each)) for number, each in enumerate(tensors)
    )
    return field(1, field(1, b"m")) + inputs


def size(count: int) -> bytes:
    return field(2, field(2, b"\x08" + varint(count)))


def huge_reply() -> bytes:
    values = field(5, b"\x00\x00\x80\x3f")
    return b"".join(field(1, field(1, b"y%d" % i) + field(2, tensor(size(HUGE), values))) for i in range(12))


def tool(tree: Path, command: str, prepare: Callable[[Path], Path]) -> tuple[float, float, str]:
    with tempfile.TemporaryDirectory() as folder:
        path = prepare(Path(folder))
        main = "from tfs_deploy.cli.entry import main; import sys; sys.exit(main())"
        return child(tree, "-c", main, *command.split(), str(path))


def empty_meta_graphs(folder: Path) -> Path:
    (folder / "1").mkdir()
    (folder / "1" / "saved_model.pb").write_bytes(b"\x08\x01" + b"\x12\x00" * (1 << 20))
    return folder / "1"


def fifo(folder: Path) -> Path:
    shutil.copytree(MODEL / "00000123", folder / "1")
    for name in ("variables/variables.index", "assets.extra/tf_serving_warmup_requests"):
        path = folder / "1" / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    return folder / "1"


def aliases(folder: Path) -> Path:
    path = folder / "d.yaml"
    items = ", ".join(f'"v{number}"' for number in range(1000))
    path.write_text(f"name: x\nmodels: &m [{items}]\nserver:\n" + "".join(f"  k{n}: *m\n" for n in range(5000)))
    return path


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    while True:
        yield b" " * (1 << 20)


def bomb(packed: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed


def _bomb() -> bytes:
    """Return gzip of 1 GB of spaces."""
    packer, block = zlib.compressobj(1, zlib.DEFLATED, 31), b" " * (1 << 24)
    return b"".join([*(packer.compress(block) for _ in range(64)), packer.flush()])


ONE = field(5, b"\x00\x00\x80\x3f")
Case = Callable[[Path], tuple[float, float, str]]
CASES: dict[str, Case] = {
    "1 server: 40 inputs of 2^26-1 from one value each": lambda tree: call(
        tree, PREDICT, predict(*[tensor(size(HUGE), ONE)] * 40)
    ),
    "1 client: reply of 12 outputs of 2^26-1": lambda tree: answered(tree, huge_reply()),
    "2 server: 1.2 MB of repeated shapes": lambda tree: call(
        tree, PREDICT, predict(tensor(b"\x12\x04\x12\x02\x08\x01" * 200_000, ONE))
    ),
    "2 server: string tensor of 2^25 from one value": lambda tree: call(
        tree, PREDICT, predict(tensor(size(1 << 25), field(8, b""), 7))
    ),
    "2 inspect: 2 MB of empty meta graphs": lambda tree: tool(tree, "inspect", empty_meta_graphs),
    "2 config: 5,000 YAML aliases": lambda tree: tool(tree, "config --check", aliases),
    "3 SIGTERM in 10 MB of lone surrogates": lambda tree: told_to_end(
        tree, b'{"instances": [' + b'"\\ud83d", ' * 1_000_000 + b"1]}"
    ),
    "3 SIGTERM in 10 MB of brackets": lambda tree: told_to_end(tree, b'{"instances": ' + b"[" * 10_000_000),
    "3 SIGTERM in 100 MB of lists": lambda tree: told_to_end(tree, b'{"instances": [' + b"[]," * 35_000_000 + b"1]}"),
    "4 metrics after a name of %80": bad_name,
    "5 new version after a NUL in a base path": new_version_after_nul,
    "5 reload behind a base path without versions": reload_behind,
    "6 server: 16 MB of pipelined GETs": pipelined,
    "6 client: endless REST reply": lambda tree: answered_over_rest(tree, endless),
    "6 client: gzip bomb of 1 GB": lambda tree: answered_over_rest(tree, functools.partial(bomb, _bomb())),
    "7 inspect: FIFOs in a model": lambda tree: tool(tree, "inspect", fifo),
    "7 lint: FIFOs in a model": lambda tree: tool(tree, "lint", fifo),
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", nargs="?", type=Path, help="the tree of another release: before")
    parser.add_argument("--only", default="", help="only cases with this in their names")
    arguments = parser.parse_args()
    trees = [arguments.other.resolve(), ROOT] if arguments.other else [ROOT]
    print("| case | " + " | ".join(("before", "after")[-len(trees) :]) + " |")
    print("| --- |" + " --- |" * len(trees))
    for name, case in CASES.items():
        if arguments.only in name:
            found = [case(tree) for tree in trees]
            cells = (f"{memory:,.0f} MB, {seconds:.1f} s {said}".strip() for memory, seconds, said in found)
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
