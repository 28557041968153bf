# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping a server process: ports, logs, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.live import free_ports
from tfs_deploy.errors import LaunchError, PortInUseError
from tfs_deploy.host.processes import start_time
from tfs_deploy.host.tcp_ports import is_free
from tfs_deploy.launch import EmbeddedLauncher
from tfs_deploy.launch.embedded.launcher import port_of

STAND_IN = (sys.executable, str(Path(__file__).parent / "stand_in.py"))


def launcher(behaviour: str = "") -> EmbeddedLauncher:
    return EmbeddedLauncher(STAND_IN, environment={"STAND_IN": behaviour})


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def flags(ports) -> list[str]:
    return [f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]


def gone(pid: int) -> bool:
    end = time.monotonic() + 10
    while start_time(pid) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("detach", [False, True])
def test_started_it_answers_and_stopped_it_is_gone(tmp_path, flags, ports, detach):
    server = launcher().start(flags, log_path=tmp_path / "state/server.log", detach=detach)
    assert server.alive()
    assert server.grpc_address == f"127.0.0.1:{ports[0]}"
    assert server.rest_address == f"127.0.0.1:{ports[1]}"
    assert server.flags == tuple(flags)
    socket.create_connection(("127.0.0.1", ports[1]), timeout=5).close()
    assert server.log_lines()[0] == "stand-in starts"
    assert server.stop() is True
    assert not server.alive()
    assert server.exit_code == 128 + signal.SIGTERM
    assert gone(server.pid)
    assert is_free(ports[0])
    assert server.stop() is True  # a second time does nothing


def test_without_rest_only_grpc_is_waited_for(tmp_path, ports):
    with launcher().start([f"--port={ports[0]}", "--rest_api_port=0"], log_path=tmp_path / "log") as server:
        assert server.rest_address is None
    assert gone(server.pid)


def test_it_has_a_session_of_its_own(tmp_path, flags):
    with launcher().start(flags, log_path=tmp_path / "log") as server:
        assert os.getsid(server.pid) == server.pid


def test_a_port_in_use_is_named_before_anything_is_started(tmp_path, flags, ports):
    with socket.create_server(("127.0.0.1", ports[1])):
        with pytest.raises(PortInUseError, match=f"port {ports[1]} is in use by process {os.getpid()}") as caught:
            launcher().start(flags, log_path=tmp_path / "log")
        assert "rest_port" in str(caught.value.hint)
    assert not (tmp_path / "log").exists()


def test_a_port_that_is_taken_while_the_server_starts_may_be_tried_again(tmp_path, flags, ports):
    with contextlib.ExitStack() as stack, pytest.raises(PortInUseError) as caught:
        launcher("fails").start(
            flags,
            log_path=tmp_path / "log",
            on_spawn=lambda _: stack.enter_context(socket.create_server(("127.0.0.1", ports[0]))),
        )
    taken = f"port {ports[0]} was taken while the server started: the models cannot be served"
    assert (caught.value.message, caught.value.retriable) == (taken, True)


def test_a_server_that_ends_says_why(tmp_path, flags):
    log = tmp_path / "log"
    log.write_text("error: of an earlier start\n")
    with pytest.raises(LaunchError) as caught:
        launcher("fails").start(flags, log_path=log)
    assert caught.value.message == "the server did not start: the models cannot be served"
    assert caught.value.exit_code == 3
    assert "exit code 2" in str(caught.value.hint)
    assert "stand-in starts" in str(caught.value.hint)
    assert "earlier" not in str(caught.value.hint)


@pytest.mark.parametrize(
    ("behaviour", "words"), [("is silent", "exit code 3"), ("crashes", "exit code 139 (it crashed)")]
)
def test_a_server_that_ends_without_a_word(tmp_path, flags, behaviour, words):
    with pytest.raises(LaunchError) as caught:
        launcher(behaviour).start(flags, log_path=tmp_path / "log")
    assert words in caught.value.message


def test_a_server_that_never_answers_is_stopped(tmp_path, flags):
    started = []
    with pytest.raises(LaunchError, match=r"does not answer on .* after 0.3 s and was stopped"):
        launcher("opens nothing").start(flags, log_path=tmp_path / "log", timeout=0.3, on_spawn=started.append)
    assert gone(started[0].pid)


def test_an_interrupt_while_it_starts_stops_it(tmp_path, flags):
    started = []

    def interrupt(server) -> None:
        started.append(server)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launcher().start(flags, log_path=tmp_path / "log", on_spawn=interrupt)
    assert gone(started[0].pid)


def test_a_server_that_ignores_the_request_is_killed(tmp_path, flags):
    server = launcher("ignores SIGTERM").start(flags, log_path=tmp_path / "log")
    assert server.stop(timeout=0.3) is False
    assert server.exit_code == 128 + signal.SIGKILL
    assert gone(server.pid)


def test_a_program_that_is_not_there(tmp_path, flags):
    with pytest.raises(LaunchError, match="cannot be started: No such file"):
        EmbeddedLauncher(["/nowhere/python"]).start(flags, log_path=tmp_path / "log")


START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from tfs_deploy.launch import EmbeddedLauncher
server = EmbeddedLauncher(sys.argv[1:3]).start(sys.argv[4:], log_path=Path(sys.argv[3]), detach={detach})
print(server.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def start_and_die(tmp_path, flags, *, detach: bool) -> int:
    code = START_AND_DIE.format(detach=detach)
    command = [sys.executable, "-c", code, *STAND_IN, str(tmp_path / "log"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return int(done.stdout)


def test_a_server_dies_with_its_parent_even_if_that_is_killed(tmp_path, flags):
    assert gone(start_and_die(tmp_path, flags, detach=False))


def test_a_detached_server_survives_its_parent(tmp_path, flags, ports):
    pid = start_and_die(tmp_path, flags, detach=True)
    try:
        socket.create_connection(("127.0.0.1", ports[0]), timeout=5).close()
    finally:
        os.kill(pid, signal.SIGKILL)
    assert gone(pid)


@pytest.mark.parametrize(
    ("flags", "port"), [([], 8500), (["--port=1"], 1), (["--port=1", "--port=2"], 2), (["--portable=3"], 8500)]
)
def test_the_last_flag_wins(flags, port):
    assert port_of(flags, "port", 8500) == port
