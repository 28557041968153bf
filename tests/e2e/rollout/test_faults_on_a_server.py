# SPDX-License-Identifier: Apache-2.0
"""Faults during rollouts on the embedded server: dead servers, lost files, a full disk, rivals, a jumping clock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from support import rollout_scenarios
from support.live import free_ports, until
from tfs_deploy.client import Client, read_traffic, write_traffic
from tfs_deploy.config import write_config
from tfs_deploy.rollout import Rollout, Status


@pytest.mark.full
@pytest.mark.parametrize("phase", rollout_scenarios.PHASES)
def test_a_server_that_dies_in_a_phase(zoo, phase):
    rollout_scenarios.a_server_that_dies_in(zoo, phase)


@pytest.mark.full
def test_a_server_that_dies_on_the_way_back(zoo):
    rollout_scenarios.a_server_that_dies_on_the_way_back(zoo)


def test_a_traffic_file_that_is_deleted_or_damaged_is_written_again_and_no_request_fails(zoo):
    rollout_scenarios.a_traffic_file_that_is_deleted_and_damaged(zoo)


def test_records_that_are_damaged_on_the_way_back_are_mended(zoo):
    rollout_scenarios.records_that_are_damaged_on_the_way_back(zoo)


def may_mount() -> bool:
    probe = "mount --make-rprivate / && mount -t tmpfs -o size=1m tmpfs /mnt"
    found = shutil.which("unshare") is not None
    return found and subprocess.run(["unshare", "--mount", "sh", "-c", probe], capture_output=True).returncode == 0


def test_a_disk_that_fills_up_in_a_step_sends_the_canary_back(idle_zoo):
    if not may_mount():
        pytest.skip("needs a file system of its own: root, unshare and mount namespaces")
    command = ["unshare", "--mount", sys.executable, "-m", "support.full_disk", idle_zoo.file]
    environment = {**os.environ, "PYTHONPATH": str(rollout_scenarios.SUPPORT.parent)}

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stderr


def test_of_controllers_that_start_together_one_works_and_the_others_name_it(zoo):
    rollout_scenarios.controllers_that_start_together(zoo)


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
            client.wait_ready("zoo", timeout=100)
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


def test_a_wall_clock_that_jumps_back_an_hour_changes_nothing(zoo):
    rollout_scenarios.a_wall_clock_that_jumps_back_an_hour(zoo)


def test_what_is_loaded_serves_on_when_the_directory_of_stable_disappears(zoo, consumers):
    """Every request is answered by what is left, and the label is there when the directory is back."""
    told = []
    kept = zoo.base.parent / "kept"

    def lose(line: str) -> None:
        told.append(line)
        if line == "50 % of the traffic goes to canary":
            (zoo.base / "1").rename(kept)

    options = {"to": 2, "steps": (50, 100), "require_traffic": False}
    with consumers(zoo, 2, pause=0.005) as load:
        paused = Rollout(zoo.deployment, "zoo", **options, bake=60).run(on_event=lose, check=False)
        assert paused.status is Status.PAUSED, paused.reason
        assert f"its directory {zoo.base / '1'} is gone: put it back, then rollout resume" in paused.reason
        assert told[-2] == "all requests of stable go to canary"
        assert read_traffic(zoo.traffic_path).models["zoo"] == {"canary": 100.0}
        failed, before = len(load.failures), load.answers[2]
        until(lambda: load.answers[2] > before + 50)
        assert len(load.failures) <= failed + 2  # in flight when the traffic file changed
        kept.rename(zoo.base / "1")
        until(lambda: zoo.served() == ({"stable": 1, "canary": 2}, [1, 2]))
    aborted = Rollout.abort(zoo.deployment, "zoo").run(check=False)
    assert aborted.status is Status.ROLLED_BACK
    assert zoo.served() == ({"stable": 1}, [1])
