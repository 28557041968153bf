# SPDX-License-Identifier: Apache-2.0
"""Who may read the models that are mounted into a container."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.deployment import Deployment, Docker, Model, Server, VersionPolicy
from tfs_deploy.deployment.access import may_read
from tfs_deploy.errors import UsageError
from tfs_deploy.launch.docker.mount_access import require_model_access


def deployment(tmp_path, *, versions=(1, 2)) -> Deployment:
    for number in (1, 2, 3):
        folder = tmp_path / f"m/{number}/variables"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").write_bytes(b"x" * 1000 * number)
    server = Server(target="docker", docker=Docker("a/b:1"))
    model = Model("m", tmp_path / "m", VersionPolicy.specific(versions))
    return Deployment("d", tmp_path / "d.yaml", tmp_path / ".tfs-deploy/d", (model,), server)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [(0o600, 7, 8, True), (0o600, 1, 8, False), (0o640, 1, 8, True), (0o640, 1, 1, False), (0o604, 1, 1, True)],
)
def test_who_may_read_a_file(mode, uid, gid, expected):
    status = os.stat_result((0o100000 | mode, 0, 0, 1, 7, 8, 0, 0, 0, 0))
    assert may_read(status, uid, gid) is expected


def test_a_directory_has_to_be_entered_too():
    status = os.stat_result((0o040744, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    assert may_read(status, 1, 1) is False


def test_only_versions_that_are_served_have_to_be_readable(tmp_path):
    served = deployment(tmp_path, versions=(1,))
    (tmp_path / "m/2").chmod(0o700)
    (tmp_path / "m").chmod(0o755)
    require_model_access(served, "4711:4711", mapped=False)
    (tmp_path / "m/1/variables/data").chmod(0o600)
    with pytest.raises(UsageError, match="user 4711:4711 of the container may not read") as caught:
        require_model_access(served, "4711:4711", mapped=False)
    assert "chmod -R a+rX" in str(caught.value.hint)
    require_model_access(served, "0:0", mapped=False)
    require_model_access(served, "4711:4711", mapped=True)
