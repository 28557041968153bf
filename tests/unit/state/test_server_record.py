# SPDX-License-Identifier: Apache-2.0
"""The record of an embedded server, as a file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tfs_deploy.host.machine import boot_id
from tfs_deploy.savedmodel.formats.checked_json import with_checksum
from tfs_deploy.state.server_record import Role, ServerRecord, read_server, remove_server, write_server

RECORD = ServerRecord(
    pid=17,
    started=4711,
    boot=boot_id(),
    grpc_address="127.0.0.1:8500",
    rest_address=None,
    flags=("--port=8500",),
    settings=("port=8500",),
    log=Path("/x/server.log"),
    log_start=3,
)


@pytest.mark.parametrize("role", Role)
def test_each_role_has_a_file_of_its_own(tmp_path, role):
    write_server(tmp_path, RECORD, role)
    assert [path.name for path in tmp_path.iterdir()] == [role.value]
    assert read_server(tmp_path, role) == RECORD
    remove_server(tmp_path, role)
    assert read_server(tmp_path, role) is None
    remove_server(tmp_path, role)


def test_the_file_says_since_when(tmp_path):
    write_server(tmp_path, RECORD)
    assert json.loads((tmp_path / "server.json").read_text())["since"].endswith("+00:00")


def test_a_record_of_a_release_that_kept_no_settings(tmp_path):
    write_server(tmp_path, RECORD)
    document = json.loads((tmp_path / "server.json").read_text())
    del document["settings"], document["crc32c"]
    (tmp_path / "server.json").write_text(json.dumps(document))
    assert read_server(tmp_path).settings == ()


def test_a_record_in_a_copy_of_the_state_directory_is_of_the_other_server(tmp_path):
    ours, copy, moved = (tmp_path / name for name in ("ours", "copy", "moved"))
    write_server(ours, replace(RECORD, log=ours / "server.log"))
    shutil.copytree(ours, copy)
    assert read_server(ours) is not None
    assert read_server(copy) is None
    ours.rename(moved)
    assert read_server(moved) is not None


def test_a_server_of_another_boot_cannot_run(tmp_path):
    assert RECORD.of_this_boot
    write_server(tmp_path, RECORD)
    document = json.loads((tmp_path / "server.json").read_text())
    (tmp_path / "server.json").write_text(json.dumps(with_checksum(document | {"boot": "another"})))
    assert not read_server(tmp_path).of_this_boot
