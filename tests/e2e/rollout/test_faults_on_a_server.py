"""Faults during rollouts on the embedded server: dead servers, lost files, a full disk, rivals, a jumping clock."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from live import free_ports, until
from tfs_deploy.client import Client, read_traffic, write_traffic
from tfs_deploy.config import write_config
from tfs_deploy.launch.record import running_server
from tfs_deploy.rollout import Rollout, RolloutResult, Status
from tfs_deploy.rollout.begin import latest
from tfs_deploy.rollout.wiring import SystemClock

#: the line that tells the end of an action, and where a rollout ends whose server dies then
PHASES = {
    "preflight": ("preflight passed", (Status.ROLLED_BACK, 1)),
    "load": ("waiting for version 2 to load", (Status.ROLLED_BACK, 1)),
    "smoke": ("smoke passed: 2 answers as expected", (Status.ROLLED_BACK, 1)),
    "label": ("label canary points at version 2", (Status.ROLLED_BACK, 1)),
    "step": ("50 % of the traffic goes to canary", (Status.ROLLED_BACK, 1)),
    "promote": ("label stable points at version 2", (Status.ROLLED_BACK, 1)),
    "settle": ("all traffic goes to stable", (Status.ROLLED_BACK, 1)),
    "retire": ("the old version was asked to leave", (Status.DONE, 2)),
}


def die(zoo) -> None:
    os.kill(running_server(zoo.state_dir).pid, signal.SIGKILL)
    until(lambda: running_server(zoo.state_dir) is None)


def roll(zoo, kill_at: str, **options) -> RolloutResult:
    """Roll version 2 out with a server that dies at a line of the story, once."""
    told: list[str] = []

    def hear(line: str) -> None:
        if line.startswith(kill_at) and not any(earlier.startswith(kill_at) for earlier in told):
            die(zoo)
        told.append(line)

    wanted = {"to": 2, "steps": (50, 100), "bake": 0.3, "keep_warm": 0.5, **options}
    return Rollout(zoo.deployment, "zoo", **wanted).run(on_event=hear, check=False)


def check_end(zoo, result: RolloutResult, status: Status, stable: int) -> None:
    assert result.status is status, result.reason
    assert zoo.served() == ({"stable": stable}, [stable])
    assert read_traffic(zoo.traffic_path).models["zoo"] == {"stable": 100.0}
    if status is Status.ROLLED_BACK:
        assert result.reason == "the server's process ended while version 2 was being rolled out"


@pytest.mark.full
@pytest.mark.parametrize("phase", PHASES)
def test_a_server_that_dies_in_a_phase(zoo, phase):
    line, end = PHASES[phase]
    check_end(zoo, roll(zoo, line), *end)


@pytest.mark.full
def test_a_server_that_dies_on_the_way_back(zoo):
    result = roll(zoo, "going back to version 1", gates=["command=false"])

    assert result.reason.startswith("step 50 %: command gate: ")
    assert (result.status, zoo.served()) == (Status.ROLLED_BACK, ({"stable": 1}, [1]))


def test_a_traffic_file_that_is_deleted_or_damaged_is_written_again_and_no_request_fails(zoo, consumers):
    def delete(line: str) -> None:
        if line == "50 % of the traffic goes to canary" and zoo.traffic_path.exists():
            lines.append(line)
            if len(lines) == 1:
                zoo.traffic_path.unlink()
            elif len(lines) == 2:
                zoo.traffic_path.write_text("nonsense")

    lines: list[str] = []
    with consumers(zoo, pause=0.003) as load:
        rollout = Rollout(zoo.deployment, "zoo", to=2, steps=(50, 100), bake=0.8, gates=["errors=1%"])
        result = rollout.run(on_event=delete, check=False)

    assert result.status is Status.DONE, result.reason
    assert len(lines) == 3
    assert zoo.traffic_path.with_suffix(".damaged").read_text() == "nonsense"
    assert load.failures == []
    assert load.answers[2] > 0


def may_mount() -> bool:
    probe = "mount --make-rprivate / && mount -t tmpfs -o size=1m tmpfs /mnt"
    found = shutil.which("unshare") is not None
    return found and subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True).returncode == 0


def test_a_disk_that_fills_up_in_a_step_sends_the_canary_back(idle_zoo):
    if not may_mount():
        pytest.skip("needs a file system of its own: root, unshare and mount namespaces")
    script = Path(__file__).with_name("full_disk.py")
    command = ["unshare", "--mount", sys.executable, script, idle_zoo.file]

    done = subprocess.run(command, capture_output=True, text=True, timeout=100)

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["full"] is True
    assert facts["status"] == "rolled back"
    assert facts["reason"].endswith("No space left on device")
    assert (facts["labels"], facts["traffic"]) == ({"stable": 1}, {"stable": 100.0})
    assert (facts["again"], facts["then"]) == ("done", {"stable": 2})


def test_of_controllers_that_start_together_one_works_and_the_others_name_it(zoo):
    options = ["--to", 2, "--steps", "100", "--bake", "1s"]
    command = [str(word) for word in (sys.executable, "-m", "tfs_deploy", "rollout", "start", zoo.file, *options)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ends = [(process.communicate(timeout=60)[1], process.returncode) for process in started]

    winner = started[[code for _, code in ends].index(0)]
    assert sorted(code for _, code in ends) == [0, 4, 4], ends
    for errors, code in ends:
        assert code == 0 or f"(process {winner.pid}) since " in errors
    assert len(list((zoo.state_dir / "rollouts" / "zoo").glob("*.jsonl"))) == 1
    assert zoo.served() == ({"stable": 2}, [2])


@pytest.fixture
def replicas(idle_zoo):
    """Two servers that read the same config file, as somebody else would run them: address -> process."""
    zoo = idle_zoo
    write_config(zoo.deployment, zoo.deployment.config_dir)
    write_traffic(zoo.traffic_path, "zoo", {"stable": 100})
    file = zoo.deployment.config_dir / "models.config"
    flags = ["--allow_version_labels_for_unavailable_models", "--exit_with_parent", f"--model_config_file={file}"]

    def start(port: int) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        command = [sys.executable, "-m", "tfs_deploy.server", f"--port={port}", *flags]
        return subprocess.Popen(command, stdout=quiet, stderr=quiet)

    ports = free_ports(2)
    found = SimpleNamespace(zoo=zoo, ports=ports, start=start, running={port: start(port) for port in ports})
    for port in ports:
        with Client(f"127.0.0.1:{port}") as client:
            client.wait_ready("zoo", timeout=60)
    yield found
    for process in found.running.values():
        process.kill()
        process.wait()


def answers(port: int) -> tuple[int, list[int]]:
    with Client(f"127.0.0.1:{port}") as client:
        available = sorted(status.version for status in client.status("zoo") if status.available)
        return client.metadata("zoo", label="stable").version, available


@pytest.mark.full
@pytest.mark.parametrize("returns", [True, False])
def test_a_replica_that_vanishes_holds_the_step_and_comes_back_with_the_labels(replicas, returns):
    first, second = replicas.ports
    told: list[str] = []
    again_at: list[float] = []

    def again() -> None:
        again_at.append(time.monotonic())
        replicas.running[second] = replicas.start(second)

    def hear(line: str) -> None:
        told.append(line)
        if line == "50 % of the traffic goes to canary" and told.count(line) == 1:
            replicas.running[second].kill()
            replicas.running[second].wait()
            if returns:  # later than a look waits for an answer
                threading.Timer(5.0, again).start()
        if line.startswith("unload failed") and len(again_at) == 0:
            again()

    addresses = tuple(f"127.0.0.1:{port}" for port in replicas.ports)
    options = {"steps": (50, 100), "bake": 0.5, "outage": 60.0 if returns else 1.0}
    result = Rollout(replicas.zoo.deployment, "zoo", to=2, replicas=addresses, **options).run(
        on_event=hear, check=False
    )

    end = Status.DONE if returns else Status.ROLLED_BACK
    stable = 2 if returns else 1
    assert result.status is end, result.reason
    assert answers(first) == answers(second) == (stable, [stable])
    assert any(note.startswith(f"127.0.0.1:{second} did not answer for ") for note in result.notes)


class JumpingClock(SystemClock):
    """A wall clock that is set back an hour once the canary has traffic."""

    def __init__(self, zoo) -> None:
        self._zoo = zoo

    def now(self) -> float:
        exposed = "canary" in self._zoo.traffic_path.read_text()
        return super().now() - (3600.0 if exposed else 0.0)


def test_a_wall_clock_that_jumps_back_an_hour_changes_nothing(zoo, consumers, cli):
    rollout = Rollout(zoo.deployment, "zoo", to=2, steps=(50, 100), bake=0.8, gates=["errors=1%"], keep_warm=0.5)
    rollout._own = dataclasses.replace(rollout._own, clock=JumpingClock(zoo))
    with consumers(zoo, pause=0.003) as load:
        result = rollout.run(check=False)

    assert result.status is Status.DONE, result.reason
    walls = [event.at for event in latest(zoo.state_dir, "zoo").events]
    assert max(first - second for first, second in itertools.pairwise(walls)) > 3500.0
    assert 2.1 <= result.seconds < 60
    assert all(step.windows["canary"].requests > 30 for step in result.steps)
    assert load.failures == []
    assert re.search(r"Done after \d+\.\d s", cli("rollout", "report", zoo.file).stdout)
