# SPDX-License-Identifier: Apache-2.0
"""What a rollout knows of the server's process, and what it makes of an engine that cannot be asked."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from tfs_deploy.deployment.docker import Docker
from tfs_deploy.errors import EnvironmentFault, TfsDeployError, UsageError
from tfs_deploy.rollout.adapters import deployed_server
from tfs_deploy.rollout.adapters.deployed_server import DeployedProcess


class FakeHost:
    """Says that a process runs, or raises."""

    def __init__(self) -> None:
        self.pid: int | None = os.getpid()
        self.fault: TfsDeployError | None = None

    def current(self):
        if self.fault is not None:
            raise self.fault
        return None if self.pid is None else SimpleNamespace(pid=self.pid)

    def ended(self) -> bool:
        return self.current() is None


@pytest.fixture
def host(monkeypatch) -> FakeHost:
    host = FakeHost()
    monkeypatch.setattr(deployed_server, "target_of", lambda _deployment, timeout: host)
    monkeypatch.setattr(deployed_server, "mend", lambda _deployment: None)
    monkeypatch.setattr(deployed_server, "up", lambda _deployment: setattr(host, "pid", 4712))
    monkeypatch.setattr(deployed_server, "available_bytes", lambda: 10 << 30)
    return host


def deployment(**docker):
    return SimpleNamespace(server=SimpleNamespace(docker=Docker("image", **docker) if docker else None))


def test_another_process_in_place_of_the_first_one_is_noticed(host):
    process = DeployedProcess(deployment())
    assert process.replaced() is False
    host.pid = None
    assert (process.replaced(), process.ended()) == (False, True)
    host.pid = 4711
    assert (process.replaced(), process.ended()) == (True, False)
    process.revive()
    assert process.replaced() is False


def test_an_engine_that_cannot_be_asked_says_nothing_of_the_process(host):
    process = DeployedProcess(deployment())
    process.replaced()
    host.fault = EnvironmentFault("no Docker Engine answers at /run/docker.sock")
    assert (process.replaced(), process.ended()) == (False, False)
    with pytest.raises(EnvironmentFault):  # which is not the same as a process without a number
        process.memory()


def test_an_engine_that_hangs_is_left_alone_for_a_while(host, monkeypatch):
    now, asked = [100.0], []
    monkeypatch.setattr(deployed_server, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def hang():
        asked.append(now[0])
        now[0] += 3.0
        raise EnvironmentFault("the Docker Engine does not answer")

    host.current = hang
    process = DeployedProcess(deployment())
    assert [process.replaced() for _ in range(5)] == [False] * 5
    assert asked == [100.0]
    now[0] += 20.0
    process.replaced()
    assert len(asked) == 2
    host.current = lambda: SimpleNamespace(pid=4711)
    now[0] += 20.0
    assert process.replaced() is False
    host.current = lambda: SimpleNamespace(pid=4712)
    assert process.replaced() is True


def test_an_engine_that_refuses_at_once_is_asked_every_time(host):
    process = DeployedProcess(deployment())
    host.fault = EnvironmentFault("no Docker Engine answers")
    assert (process.replaced(), process.ended()) == (False, False)
    host.fault, host.pid = None, None
    assert process.ended() is True


def test_an_engine_that_cannot_be_used_at_all_leaves_the_memory_unknown(host):
    process = DeployedProcess(deployment(memory=1 << 30))
    host.fault = UsageError("DOCKER_HOST is ssh://elsewhere", hint="unset it")
    assert (process.replaced(), process.ended(), process.memory()) == (False, False, None)
    assert process.room() == 1 << 30


def test_of_servers_that_somebody_else_runs_nothing_is_known(host):
    process = DeployedProcess(deployment(), known=False)
    assert (process.ended(), process.replaced(), process.memory(), process.room()) == (False, False, None, None)


def test_a_limit_of_the_container_is_what_a_version_has_to_fit_into(host):
    used = DeployedProcess(deployment()).memory()
    assert 0 < used < 8 << 30
    assert DeployedProcess(deployment()).room() == 10 << 30
    assert 0 <= (8 << 30) - used - DeployedProcess(deployment(memory=8 << 30)).room() < 64 << 20
    assert DeployedProcess(deployment(memory=1 << 20)).room() == 0
    assert DeployedProcess(deployment(memory=64 << 30)).room() == 10 << 30
