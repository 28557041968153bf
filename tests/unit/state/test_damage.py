# SPDX-License-Identifier: Apache-2.0
"""One byte changed, or the end cut off: a file of the toolkit says what it said, or names its damage."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy.config.files import MODELS, config_files, write_config
from tfs_deploy.config.written import read_written
from tfs_deploy.deployment import Deployment, Model
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.errors import EnvironmentFault, ModelError
from tfs_deploy.host.machine import boot_id
from tfs_deploy.savedmodel.manifest import FileEntry, Manifest, read_manifest, write_manifest
from tfs_deploy.state import active, endpoint, last_start, server_record, traffic
from tfs_deploy.state import lock as lock_module
from tfs_deploy.state.lock import holder, lock, rollout_holder

FULL = bool(os.environ.get("TFS_DEPLOY_FULL"))
#: changes of each file; with --full every byte in three ways, and every length
CHANGES = 300

Reader = Callable[[], Any]


def write_active(folder: Path) -> tuple[Path, Reader]:
    path = active.write_active(folder, {"m": ActiveModel((1, 2), {"stable": 1, "canary": 2}, "sha256:x")})
    return path, lambda: active.read_active(folder)


def write_traffic(folder: Path) -> tuple[Path, Reader]:
    path = traffic.traffic_path(folder)
    traffic.write_traffic(path, "m", {"stable": 95, "canary": 5}, copies={"canary": 10})
    return path, lambda: traffic.read_traffic(path)


def write_endpoint(folder: Path) -> tuple[Path, Reader]:
    endpoint.write_endpoint(folder, "127.0.0.1:8510", "127.0.0.1:8511")
    return endpoint.endpoint_path(folder), lambda: endpoint.read_endpoint(folder)


def write_server(folder: Path) -> tuple[Path, Reader]:
    record = server_record.ServerRecord(11, 22, boot_id(), "a:1", None, ("--port=1",), ("port=1",), Path("/log"), 0)
    server_record.write_server(folder, record)
    return folder / server_record.Role.CURRENT.value, lambda: server_record.read_server(folder)


def write_last_start(folder: Path) -> tuple[Path, Reader]:
    last_start.write_last_start(folder, 4.25)
    return folder / last_start.NAME, lambda: last_start.read_last_start(folder)


def write_models_config(folder: Path) -> tuple[Path, Reader]:
    model = Model("digits", Path("/models/digits"))
    write_config(Deployment("d", folder / "d.yaml", folder, (model,)), folder, checksum=True)
    return folder / MODELS, lambda: read_written(folder / MODELS)


def write_version(folder: Path) -> tuple[Path, Reader]:
    files = {"saved_model.pb": FileEntry("ab" * 32, 1234)}
    manifest = Manifest(files, "cd" * 32, "2026-01-01T00:00:00+00:00", "2.19.0", metadata={"run": 7})
    return write_manifest(folder, manifest), lambda: read_manifest(folder)


FILES = (
    write_active,
    write_traffic,
    write_endpoint,
    write_server,
    write_last_start,
    write_models_config,
    write_version,
)


def damaged(data: bytes) -> list[bytes]:
    """Return the data with one byte changed, and cut off, in many ways."""
    draw = random.Random(17)
    places = [place for place in range(len(data)) for _ in range(3)]
    changes = [(place, draw.randrange(1, 256)) for place in places]
    lengths = list(range(len(data)))
    if not FULL:
        changes, lengths = draw.sample(changes, min(CHANGES, len(changes))), draw.sample(lengths, min(60, len(data)))
        lengths += range(min(40, len(data)))
    flipped = [data[:place] + bytes([data[place] ^ change]) + data[place + 1 :] for place, change in changes]
    return flipped + [data[:length] for length in lengths]


@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__.removeprefix("write_"))
def test_a_damaged_file_is_never_another_file(tmp_path: Path, write: Callable[[Path], tuple[Path, Reader]]) -> None:
    path, read = write(tmp_path)
    data, said = path.read_bytes(), read()
    named = 0
    for content in damaged(data):
        path.write_bytes(content)
        try:
            found = read()
        except (EnvironmentFault, ModelError) as error:
            named += error.hint is not None
        else:
            # white space, or the name of the checksum itself
            assert found == said or (write is write_last_start and found is None), content
    # a start time that is lost is not worth an error
    assert named > 100 or write is write_last_start


def test_a_damaged_lock_is_held_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / lock_module.NAME
    with lock(tmp_path, "rollout of m"):
        data, about = path.read_bytes(), holder(tmp_path)
        assert rollout_holder(tmp_path, "m") == about
        for content in damaged(data):
            path.write_bytes(content)
            assert holder(tmp_path) in (about, {})
            assert rollout_holder(tmp_path, "m") in (about, {})
        assert lock_module.describe_holder({}) == "another process, of which rollout.lock does not say more"


def test_files_of_earlier_releases_have_no_checksum_and_are_read(tmp_path: Path) -> None:
    (tmp_path / traffic.NAME).write_text('{"generation": 3, "models": {"m": {"stable": 100}}}')
    assert traffic.read_traffic(tmp_path / traffic.NAME).generation == 3
    model = Model("digits", Path("/models/digits"))
    text = config_files(Deployment("d", tmp_path / "d.yaml", tmp_path, (model,)))[MODELS]
    (tmp_path / MODELS).write_text(text)
    assert read_written(tmp_path / MODELS).model_config_list.config[0].name == "digits"
    path = write_manifest(tmp_path, Manifest({}, "cd", "2026-01-01T00:00:00+00:00"))
    path.write_text("".join(line for line in path.read_text().splitlines(True) if '"crc32c"' not in line))
    assert read_manifest(tmp_path) == Manifest({}, "cd", "2026-01-01T00:00:00+00:00")
