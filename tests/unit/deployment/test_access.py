# SPDX-License-Identifier: Apache-2.0
"""Models that their server may not read: found by the check of the file and by doctor, before anything is started."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tfs_deploy.deployment.access import may_read, unreadable
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.doctor.facts import EngineFacts, Wanted
from tfs_deploy.doctor.finding import Level
from tfs_deploy.doctor.gather import _disks
from tfs_deploy.doctor.machine import judge_disk
from tfs_deploy.errors import SpecError

DOCKER = "server: {target: docker, docker: {image: 'a/b:1', user: '4711:4711'}}\n"


@pytest.fixture
def shop(tmp_path, models) -> Path:
    """A deployment of one version of two; the user of these tests is told by permission bits, also if it is root."""
    shutil.copytree(models / "saved_model_half_plus_two_2_versions", tmp_path / "hp")
    path = tmp_path / "shop.yaml"
    path.write_text("name: shop\nmodels: [{name: hp, base_path: hp, versions: {specific: [124]}}]\n")
    return path


@pytest.fixture(autouse=True)
def _another_user(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: may_read(Path(path).stat(), 4711, 4711))


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_deployment(path, check_disk=True)
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(("docker", "who"), [(False, "this user"), (True, "user 4711:4711 of the container")])
@pytest.mark.parametrize("name", ["", "00000124", "00000124/variables", "00000124/variables/variables.index"])
def test_a_file_of_a_served_version_that_the_server_may_not_read(shop, name, docker, who):
    if docker:
        shop.write_text(shop.read_text() + DOCKER)
    assert list(unreadable(load_deployment(shop, check_disk=True))) == []
    path = shop.parent / "hp" / name
    path.chmod(0o700)
    assert problems(shop) == [f"{who} may not read {path}"]
    (disk,) = (disk for disk in _disks(load_deployment(shop), EngineFacts(sdk=False)) if disk.name == "models.hp")
    finding = judge_disk(disk, Wanted())
    assert finding.level == Level.PROBLEM
    assert str(path) in finding.detail


def test_what_is_not_served_need_not_be_readable(shop):
    (shop.parent / "hp/00000123").chmod(0)
    load_deployment(shop, check_disk=True)


def test_a_rootless_engine_reads_what_its_user_reads(shop):
    shop.write_text(shop.read_text() + DOCKER)
    (shop.parent / "hp/00000124").chmod(0o700)
    assert list(unreadable(load_deployment(shop), mapped=True)) == []
