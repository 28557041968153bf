# SPDX-License-Identifier: Apache-2.0
"""The note of a running server, and how its process is recognised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.processes import start_time
from tfs_deploy.launch.embedded.process import Process
from tfs_deploy.launch.embedded.record import record_server, running_server
from tfs_deploy.launch.embedded.running_server import RunningServer
from tfs_deploy.savedmodel.formats.checked_json import with_checksum
from tfs_deploy.state.server_record import Role, read_server, remove_server

SETTINGS = ("port=1", "batching.config=sha256:x")


def this_process(**changes) -> RunningServer:
    process = Process(changes.get("pid", os.getpid()), changes.get("started", start_time(os.getpid())))
    return RunningServer(process, "127.0.0.1:1", None, Path("/x/server.log"), ("--port=1",), 17, SETTINGS)


def test_a_note_is_read_back(tmp_path):
    record_server(tmp_path, this_process())
    found = running_server(tmp_path)
    assert found == this_process()
    assert found.settings == ("port=1", "batching.config=sha256:x")
    assert running_server(tmp_path, Role.SUCCESSOR) is None
    remove_server(tmp_path)
    assert running_server(tmp_path) is None
    remove_server(tmp_path)


def test_no_note_is_no_server(tmp_path):
    assert read_server(tmp_path) is None
    assert running_server(tmp_path) is None


def test_another_process_with_the_same_number_is_not_the_server(tmp_path):
    record_server(tmp_path, this_process(started=1))
    assert running_server(tmp_path) is None


def test_a_process_of_an_earlier_boot_is_not_the_server(tmp_path):
    record_server(tmp_path, this_process())
    record = json.loads((tmp_path / "server.json").read_text())
    assert record["boot"] == boot_id()
    (tmp_path / "server.json").write_text(json.dumps(with_checksum(record | {"boot": "another"})))
    assert running_server(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_a_damaged_note_is_no_reason_to_start_a_second_server(tmp_path, text):
    (tmp_path / "server.json").write_text(text)
    with pytest.raises(EnvironmentFault, match="damaged"):
        running_server(tmp_path)


def test_a_note_that_lacks_something_is_damaged(tmp_path):
    (tmp_path / "server.json").write_text(json.dumps({"boot": boot_id()}))
    with pytest.raises(EnvironmentFault, match="damaged"):
        running_server(tmp_path)
