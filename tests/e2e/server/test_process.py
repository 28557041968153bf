# SPDX-License-Identifier: Apache-2.0
"""The server as a process: what ends it, with which code and which line, and what happens to requests in flight."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from support.live import free_port, until
from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.codec import encode_predict_request
from tfs_deploy.errors import InternalError
from tfs_deploy.savedmodel.warmup import write_warmup

if TYPE_CHECKING:
    from .conftest import Server

MODEL = "--model_base_path=MODELS/saved_model_half_plus_two_cpu"

#: flags -> what the one line says; MODELS and WORK stand for folders
REFUSED = {
    "no such config": (["--model_config_file=WORK/nosuch"], "nosuch cannot be read: No such file"),
    "config is a folder": (["--model_config_file=WORK"], "cannot be read: Is a directory"),
    "config no text proto": (["--model_config_file=WORK/bad"], "the model config file WORK/bad does not parse"),
    "config no UTF-8": (["--model_config_file=WORK/binary"], "WORK/binary cannot be read: it is not UTF-8"),
    "config empty": (["--model_config_file=WORK/empty"], "the model config file WORK/empty is empty"),
    "bad batching file": (
        [MODEL, "--enable_batching", "--batching_parameters_file=WORK/bad"],
        "the batching parameters file WORK/bad does not parse",
    ),
    "bad monitoring file": ([MODEL, "--monitoring_config_file=WORK/bad"], "the monitoring config file WORK/bad"),
    "bad SSL file": ([MODEL, "--ssl_config_file=WORK/bad"], "the SSL config file WORK/bad does not parse"),
    "no SSL file": ([MODEL, "--ssl_config_file=WORK/nosuch"], "the SSL config file WORK/nosuch cannot be read"),
    "SSL key is a path": ([MODEL, "--ssl_config_file=WORK/paths"], "with the key and certificate of the SSL config"),
    "SSL clients without authority": ([MODEL, "--ssl_config_file=WORK/verify"], "without a custom_ca"),
    "bad session file": (
        [MODEL, "--tensorflow_session_config_file=WORK/bad"],
        "the session config file WORK/bad does not parse",
    ),
    "bad platform file": ([MODEL, "--platform_config_file=WORK/bad"], "the platform config file WORK/bad"),
    "socket in no folder": ([MODEL, "--grpc_socket_path=WORK/nosuch/s"], "gRPC cannot listen on unix:WORK/nosuch/s"),
}
MISUSED = {
    "unknown flag": (["--modl_name=x"], "unknown flag --modl_name, did you mean --model_name?"),
    "channel argument": (
        [MODEL, "--grpc_channel_arguments=grpc.x"],
        "takes key=value,key=value; 'grpc.x' is not such a pair",
    ),
    "no model": ([], "no model to serve"),
    "parallelism twice": (
        [MODEL, "--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1"],
        "--tensorflow_session_parallelism cannot be combined with",
    ),
}


def files(work: Path) -> None:
    for name, content in {
        "bad": b"nosuch: 1",
        "empty": b"",
        "binary": b"\xff\xfe\x00",
        "paths": b'server_key: "/etc/key.pem" server_cert: "/etc/cert.pem"',
        "verify": b'server_key: "k" server_cert: "c" client_verify: true',
    }.items():
        (work / name).write_bytes(content)


#: runs many command lines in one interpreter, as starting one takes longer than refusing
RUN_ALL = """
import contextlib, io, json, sys
from tfs_deploy.server.__main__ import main
found = {}
for name, flags in json.load(sys.stdin).items():
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(flags)
    found[name] = code, said.getvalue()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def refusals(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """Exit code and error line of each refused start."""
    work = tmp_path_factory.mktemp("refused")
    files(work)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        cases = {name: flags for table in (REFUSED, MISUSED) for name, (flags, _) in table.items()}
        cases = {name: [f"--port={free_port()}", *flags] for name, flags in cases.items()}
        cases["gRPC port"] = [MODEL, f"--port={busy}"]
        cases["REST port"] = [MODEL, f"--port={free_port()}", f"--rest_api_port={busy}"]
        text = json.dumps(cases).replace("MODELS", str(models)).replace("WORK", str(work))
        result = subprocess.run(
            [sys.executable, "-c", RUN_ALL], input=text, capture_output=True, text=True, timeout=300
        )
    assert result.returncode == 0, result.stderr
    found = {}
    for name, (code, said) in json.loads(result.stdout).items():
        lines = said.replace(str(work), "WORK").replace(str(busy), "BUSY").splitlines()
        assert [line.startswith("error: ") for line in lines] == [True], said
        assert "(hint: " in lines[0]
        found[name] = code, lines[0]
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_environment_faults(name: str, refusals: dict[str, tuple[int, str]]) -> None:
    code, line = refusals[name]
    assert code == 3
    assert REFUSED[name][1] in line


@pytest.mark.parametrize("name", MISUSED)
def test_usage(name: str, refusals: dict[str, tuple[int, str]]) -> None:
    code, line = refusals[name]
    assert code == 2
    assert MISUSED[name][1] in line


@pytest.mark.parametrize("which", ["gRPC", "REST"])
def test_port_in_use(which: str, refusals: dict[str, tuple[int, str]]) -> None:
    code, line = refusals[f"{which} port"]
    assert code == 3
    assert f"the {which} port BUSY is in use by " in line
    assert str(os.getpid()) in line


def slow_call(server: Server, loops: float) -> tuple[threading.Thread, list[object]]:
    """Start a Predict whose graph runs for a while; the list gets its result."""
    found: list[object] = []

    def call() -> None:
        with Client(server.grpc_address) as client:
            try:
                found.append(client.predict("zoo", {"x": np.float32([loops])}, signature="slow", timeout=300)["y"][0])
            except Exception as error:  # noqa: BLE001 - the test looks at it
                found.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, found


def begun(server: Server) -> None:
    """Wait until the graph of the slow call runs: it keeps a processor busy."""

    def ticks() -> int:
        return int(Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()[11])

    first = ticks()
    until(lambda: ticks() > first + 15)


def test_requests_in_flight_are_answered(start: Callable[..., Server], models: Path) -> None:
    server = start("--model_name=zoo", f"--model_base_path={models / 'zoo'}", "--drain_seconds=30")
    thread, found = slow_call(server, 60.0)
    begun(server)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: not _answers(server))
    thread.join(60)
    assert found == [60.0]
    assert server.process.wait(100) == 0


def _answers(server: Server) -> bool:
    try:
        server.post("zoo", {"instances": [1.0]}, timeout=5)
    except (urllib.error.URLError, ConnectionError):
        return False
    return True


def test_draining_ends_in_time(start: Callable[..., Server], models: Path) -> None:
    server = start("--model_name=zoo", f"--model_base_path={models / 'zoo'}", "--drain_seconds=0.5")
    thread, found = slow_call(server, 100_000.0)
    begun(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(50) == 0  # not the minute of the call
    thread.join(100)
    assert isinstance(found[0], Exception)


def test_a_signal_is_obeyed_whatever_runs(start: Callable[..., Server], models: Path) -> None:
    """Calls that cannot end, large JSON, requests sent ahead, connections that idle, or stop in the middle."""
    server = start("--model_name=zoo", f"--model_base_path={models / 'zoo'}", "--drain_seconds=1")
    thread, found = slow_call(server, 100_000.0)
    begun(server)
    path = b"POST /v1/models/zoo:predict HTTP/1.1\r\nHost: m\r\n"
    numbers = b'{"instances": [' + b"1.0, " * 4_000_000 + b"1.0]}"
    slow = b'{"signature_name": "slow", "instances": [100000.0]}'
    sent = [
        b"",
        b"GET /v1/mod",
        path + b"Content-Length: 100\r\n\r\n",
        b"GET /v1/models/zoo HTTP/1.1\r\nHost: m\r\n\r\n" * 20_000,
        *(path + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in (slow, numbers, numbers)),
    ]
    connections = [socket.create_connection(("127.0.0.1", server.rest_port)) for _ in sent]
    writers = [
        threading.Thread(target=_send_all, args=pair, daemon=True) for pair in zip(connections, sent, strict=True)
    ]
    for writer in writers:
        writer.start()
    for writer in writers[-2:]:
        writer.join(60)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(60) == 0
    # drain + 1 s on a machine that does nothing else
    assert time.monotonic() - began < 10
    for connection in connections:
        connection.close()
    thread.join(100)
    assert isinstance(found[0], Exception)


def _send_all(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(data)


def test_stopping_while_a_model_is_awaited(start: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    server = start("--model_name=m", f"--model_base_path={tmp_path / 'nothing'}", wait=False)
    until(lambda: "no version" in server.log.read_text())
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(100) == 0
    assert "error" not in server.log.read_text()


def test_stopping_while_a_model_blocks_in_loading(start: Callable[..., Server], models: Path, tmp_path: Path) -> None:
    """Its warmup does not end, and TensorFlow cannot be interrupted there."""
    shutil.copytree(models / "zoo" / "1", tmp_path / "zoo" / "1")
    slow = encode_predict_request("zoo", {"x": np.float32([100_000.0])}, signature="slow")
    write_warmup(tmp_path / "zoo" / "1", [protos.PredictRequest.FromString(slow)])
    flags = "--model_name=zoo", f"--model_base_path={tmp_path / 'zoo'}", "--drain_seconds=0.5"
    server = start(*flags, wait=False)
    until(lambda: "loading zoo" in server.log.read_text())
    begun(server)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert time.monotonic() - began < 8  # drain + 1 s on a machine that does nothing else


def test_ends_with_its_parent_not_with_a_thread_of_it(models: Path, tmp_path: Path) -> None:
    """The thread that started the server may end, its process may not."""
    port = free_port()
    program = textwrap.dedent(f"""
        import subprocess, sys, threading, time
        command = [sys.executable, "-m", "tfs_deploy.server", "--port={port}", "--exit_with_parent"]
        command += ["--model_base_path={models / "saved_model_half_plus_two_cpu"}"]
        starter = threading.Thread(target=lambda: print(subprocess.Popen(command).pid, flush=True))
        starter.start()
        starter.join()
        time.sleep(600)
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        try:
            with Client(f"127.0.0.1:{port}") as client:
                client.wait_ready("default", timeout=100)
                time.sleep(0.5)  # longer than the server takes to look
                client.predict("default", {"x": np.float32([[1]])})
            assert Path(f"/proc/{pid}").exists()
        finally:
            parent.kill()
        parent.wait(100)
    until(lambda: _gone(pid))


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    except OSError:
        return True


def test_unix_socket(start: Callable[..., Server], models: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = start(MODEL.replace("MODELS", str(models)), f"--grpc_socket_path={path}")
    with grpc.insecure_channel(f"unix:{path}") as channel, Client(server.grpc_address) as client:
        reply = channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")(b"\x0a\x09\x0a\x07default")
        assert b"\x10\x1e" in reply  # state: AVAILABLE
        assert client.predict("default", {"x": np.float32([[2]])})["y"] == 3.0


def test_version_and_help() -> None:
    for flag, text in (("--version", "embedded server"), ("--help", "--rest_api_timeout_in_ms")):
        result = subprocess.run(
            [sys.executable, "-m", "tfs_deploy.server", flag], capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0
        assert text in result.stdout


def test_log_lines(start: Callable[..., Server], models: Path) -> None:
    """One line for each change of state; the level is TF_CPP_MIN_LOG_LEVEL's unless --log_level says otherwise."""
    loud = start(
        MODEL.replace("MODELS", str(models)), "--log_level=info", "--enable_profiler=true", "--num_tflite_pools=3"
    )
    text = loud.log.read_text()
    assert text.count("these flags are ignored: enable_profiler, num_tflite_pools") == 1
    assert "serving default version 123" in text
    assert "gRPC listens on" in text
    quiet = start(MODEL.replace("MODELS", str(models)), "--log_level=error")
    quiet.process.send_signal(signal.SIGTERM)
    assert quiet.process.wait(100) == 0
    assert json.dumps(quiet.log.read_text()) == '""'


def test_xla_compiles_only_if_a_flag_says_so(start: Callable[..., Server], models: Path) -> None:
    """As the original: a function made with jit_compile=True is refused, also one that another function calls."""
    given = ("--model_name=compiled", f"--model_base_path={models / 'compiled'}")
    refusing, compiling = start(*given), start(*given, "--xla_cpu_compilation_enabled=true")
    refused = "XLA compilation disabled\n\t [[{{function_node __inference_nested_12}}{{node PartitionedCall}}]]"
    with Client(refusing.grpc_address) as client:
        with pytest.raises(InternalError) as caught:
            client.predict("compiled", {"x": np.float32([0])})
        assert caught.value.message == refused
        with pytest.raises(InternalError, match="XLA compilation disabled"):
            client.predict("compiled", {"x": np.float32([0])}, signature="outer")
        assert client.predict("compiled", {"x": np.float32([1])}, signature="plain")["y"].tolist() == [2]
    with pytest.raises(urllib.error.HTTPError) as answer:
        refusing.post("compiled", {"instances": [0.0]})
    assert (answer.value.code, json.load(answer.value)) == (500, {"error": refused})
    assert compiling.post("compiled", {"instances": [0.0]}) == {"predictions": [0.0]}
