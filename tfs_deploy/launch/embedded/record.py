# SPDX-License-Identifier: Apache-2.0
"""Embedded servers and their records in the state directory (``state.server_record``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.processes import pid_namespace
from tfs_deploy.launch.embedded.process import Process
from tfs_deploy.launch.embedded.running_server import RunningServer
from tfs_deploy.state.server_record import Role, ServerRecord, read_server, write_server

if TYPE_CHECKING:
    from pathlib import Path


def record_server(state_dir: Path, server: RunningServer, role: Role = Role.CURRENT) -> None:
    """Write a server's record."""
    record = ServerRecord(
        pid=server.pid,
        started=server.process.started,
        boot=boot_id(),
        grpc_address=server.grpc_address,
        rest_address=server.rest_address,
        flags=server.flags,
        settings=server.settings,
        log=server.log_path,
        log_start=server.log_start,
        pid_namespace=pid_namespace(),
    )
    write_server(state_dir, record, role)


def running_server(state_dir: Path, role: Role = Role.CURRENT) -> RunningServer | None:
    """Return the recorded server if its process still runs, and is not another one with the same number."""
    record = read_server(state_dir, role)
    if record is None or not record.of_this_boot:
        return None
    server = RunningServer(
        process=Process(record.pid, record.started),
        grpc_address=record.grpc_address,
        rest_address=record.rest_address,
        log_path=record.log,
        flags=record.flags,
        log_start=record.log_start,
        settings=record.settings,
    )
    return server if server.alive() else None
