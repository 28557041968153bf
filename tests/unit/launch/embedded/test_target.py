# SPDX-License-Identifier: Apache-2.0
"""The servers of a deployment as processes: what a replacement that was cut off leaves."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.deployment import Deployment
from tfs_deploy.host.processes import start_time
from tfs_deploy.launch.embedded.process import Process
from tfs_deploy.launch.embedded.record import record_server
from tfs_deploy.launch.embedded.running_server import RunningServer
from tfs_deploy.launch.embedded.target import EmbeddedTarget
from tfs_deploy.launch.server import ServerPorts
from tfs_deploy.state.server_record import Role, read_server


@pytest.fixture
def target(tmp_path) -> EmbeddedTarget:
    return EmbeddedTarget(Deployment("d", tmp_path / "d.yaml", tmp_path, ()))


def server(tmp_path, *, pid: int, started: int | None = None) -> RunningServer:
    process = Process(pid, start_time(pid) or 0 if started is None else started)
    return RunningServer(process, "127.0.0.1:18500", None, tmp_path / "server.log")


def test_nothing_is_left_in_the_usual_case(target, tmp_path):
    assert target.leftovers() == []
    record_server(tmp_path, server(tmp_path, pid=os.getpid()))
    assert target.leftovers() == []
    assert target.clear_leftovers() == []


def test_a_running_successor_holds_its_ports(target, tmp_path):
    record_server(tmp_path, server(tmp_path, pid=os.getppid()), Role.SUCCESSOR)
    (left,) = target.leftovers()
    assert left.step == f"stop server {os.getppid()}, left over from a replacement that was cut off"
    assert left.ports == ServerPorts(18500)


def test_records_of_servers_that_ended_are_removed(target, tmp_path):
    record_server(tmp_path, server(tmp_path, pid=os.getpid(), started=1), Role.SUCCESSOR)
    assert [left.step for left in target.leftovers()] == [
        "remove next.json, left over from a replacement that was cut off"
    ]
    assert target.clear_leftovers() == []
    assert target.leftovers() == []


def test_the_server_in_use_is_not_stopped_for_a_record_of_its_replacement(target, tmp_path):
    """The replacement was cut off after the old server was recorded as such and before the new one took its place."""
    record_server(tmp_path, server(tmp_path, pid=os.getpid()))
    record_server(tmp_path, server(tmp_path, pid=os.getpid()), Role.PREDECESSOR)
    assert [left.step for left in target.leftovers()] == [
        "remove old.json, left over from a replacement that was cut off"
    ]
    assert target.clear_leftovers() == []
    assert read_server(tmp_path, Role.PREDECESSOR) is None
    current = target.current()
    assert current is not None
    assert current.pid == os.getpid()
