# SPDX-License-Identifier: Apache-2.0
"""Rollouts on a server in a container whose disk fills up, and whose engine goes away in the middle of one."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable

import pytest

from support import rollout_scenarios
from support.consumers import Consumers
from support.live import free_ports
from support.zoo_deployments import Zoo
from tfs_deploy.launch.up import down, up
from tfs_deploy.rollout import Rollout, RolloutResult, Status

pytestmark = [
    pytest.mark.docker,
    pytest.mark.full,
    # the SDK leaves the socket of a connection that was refused to the garbage collector
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def zoo_on_a_small_disk(image, models, tmp_path):
    """A deployment in a container whose state directory is a file system of two megabytes."""
    if os.geteuid() != 0:
        pytest.skip("mounts a small file system, which only root may")
    zoo = Zoo.make(tmp_path, models / "zoo", {1: 1, 2: 2}, free_ports(2), {"image": image})
    zoo.state_dir.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", zoo.state_dir], check=True)
    try:
        up(zoo.deployment)
        yield zoo
        down(zoo.deployment)
    finally:
        subprocess.run(["umount", "--lazy", zoo.state_dir], check=True)


def test_a_disk_that_fills_up_in_a_step_sends_the_canary_back(zoo_on_a_small_disk):
    rollout_scenarios.a_disk_that_fills_up_in_a_step(zoo_on_a_small_disk)


@pytest.fixture
def zoo_on_own_engine(own_engine, image, models, tmp_path, monkeypatch):
    """A deployment on an engine that the test may kill."""
    monkeypatch.setenv("DOCKER_HOST", own_engine.host)
    own_engine.load(image)
    zoo = Zoo.make(tmp_path, models / "zoo", {1: 1, 2: 2}, free_ports(2), {"image": image})
    up(zoo.deployment)
    yield zoo
    down(zoo.deployment)


def roll(zoo, fault: Callable[[], None], **options) -> RolloutResult:
    """Roll version 2 out; the fault comes with the first traffic, once."""
    happened: list[str] = []

    def hear(line: str) -> None:
        if line == "50 % of the traffic goes to canary" and not happened:
            happened.append(line)
            fault()

    wanted = {"to": 2, "steps": (50, 100), "bake": 2.0, **options}
    return Rollout(zoo.deployment, "zoo", **wanted).run(on_event=hear, check=False)


def test_an_engine_killed_in_a_step_and_started_again(own_engine, zoo_on_own_engine):
    """It takes the server with it and brings it back from the files; the old version serves."""
    zoo = zoo_on_own_engine
    back = threading.Timer(3.0, own_engine.start)

    def kill() -> None:
        own_engine.kill()
        back.start()

    result = roll(zoo, kill)
    back.join()

    assert result.status is Status.ROLLED_BACK, result
    assert result.reason == "the server's process ended while version 2 was being rolled out"
    assert any(note.startswith("the server did not answer for ") for note in result.notes)
    assert zoo.served() == ({"stable": 1}, [1])


def test_an_engine_that_stays_away_asks_a_human_who_starts_it_and_resumes(own_engine, zoo_on_own_engine):
    zoo = zoo_on_own_engine

    result = roll(zoo, own_engine.kill, outage=1.0, patience=5.0)

    assert result.status is Status.PAUSED, result
    assert result.reason.startswith("no answer for ")
    assert "; but unload keeps failing: cannot reach 127.0.0.1:" in result.reason
    own_engine.start()
    resumed = rollout_scenarios.cli("rollout", "resume", zoo.file)
    assert (resumed.returncode, resumed.stderr.splitlines()[-1].partition(": no answer for ")[1]) == (
        1,
        ": no answer for ",
    )
    assert zoo.served() == ({"stable": 1}, [1])


def test_a_rollback_needs_no_engine(own_engine, zoo_on_own_engine):
    zoo = zoo_on_own_engine
    assert Rollout(zoo.deployment, "zoo", to=2, steps=(100,), bake=0).run().done
    process = own_engine.process
    process.send_signal(signal.SIGSTOP)
    try:
        back = rollout_scenarios.cli("rollback", zoo.file)
        assert back.returncode == 0, back.stderr
        assert zoo.served() == ({"stable": 1}, [1])
    finally:
        process.send_signal(signal.SIGCONT)


def test_an_engine_that_hangs_for_a_while_costs_no_request(own_engine, zoo_on_own_engine):
    """What it alone can tell, the memory in use, is waited for; the server goes on without it."""
    assert own_engine.process is not None
    process = own_engine.process
    back = threading.Timer(8.0, process.send_signal, (signal.SIGCONT,))

    def freeze() -> None:
        process.send_signal(signal.SIGSTOP)
        back.start()

    with Consumers(zoo_on_own_engine, pause=0.01) as load:
        gates = {"gates": ["errors=1%", "memory=200%"], "default_gates": False}
        result = roll(zoo_on_own_engine, freeze, **gates)
    back.join()

    assert result.status is Status.DONE, result
    assert load.failures == []
    assert zoo_on_own_engine.served() == ({"stable": 2}, [2])
