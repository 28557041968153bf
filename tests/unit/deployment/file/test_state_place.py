# SPDX-License-Identifier: Apache-2.0
"""The key ``state``: where a deployment's state directory is, and where it must not be."""

from __future__ import annotations

import os
import shutil

import pytest

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError


@pytest.fixture
def write(tmp_path, models):
    """Write a deployment file in a folder of its own, over a base path with version 1."""
    shutil.copytree(models / "zoo/1", tmp_path / "shop/models/m/1")

    def write(state: str = "", name: str = "a", base_path: str = "models/m"):
        path = tmp_path / "shop/shop.yaml"
        path.write_text(f"name: {name}\n{state}\nmodels:\n  - name: m\n    base_path: {base_path}\n")
        return path

    return write


def problems(path, *, check_disk: bool) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_deployment(path, check_disk=check_disk)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ("", "shop/.tfs-deploy/a"),
        ("state: .tfs-deploy", "shop/.tfs-deploy/a"),
        ("state: ../var/state/", "var/state/a"),
        ("state: .", "shop/a"),
        ("state: {tmp}/elsewhere", "elsewhere/a"),
    ],
)
def test_the_name_is_appended_to_the_place(write, tmp_path, state, place):
    deployment = load_deployment(write(state.format(tmp=tmp_path)), check_disk=True)
    assert deployment.state_dir == tmp_path / place
    assert not deployment.state_dir.exists()


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"state": "state: models/m"}, "models/m/a is inside models/m, the base path of model 'm'"),
        ({"state": "state: models/m/1"}, "models/m/1/a is inside models/m, the base path of model 'm'"),
        ({"state": "state: .", "name": "models"}, "models holds models/m, the base path of model 'm'"),
    ],
)
@pytest.mark.parametrize("check_disk", [False, True])
def test_state_and_base_paths_are_kept_apart(write, keys, problem, check_disk):
    assert problems(write(**keys), check_disk=check_disk) == [f"shop.yaml:2: state: {problem}"]


def test_a_link_into_a_base_path_is_seen(write, tmp_path):
    (tmp_path / "shop/link").symlink_to("models/m")
    path = write("state: link")
    load_deployment(path)
    assert problems(path, check_disk=True) == [
        "shop.yaml:2: state: models/m/a is inside models/m, the base path of model 'm'"
    ]


def test_a_place_that_is_a_file(write, tmp_path):
    (tmp_path / "shop/state").write_text("")
    assert problems(write("state: state"), check_disk=True) == ["shop.yaml:2: state: state is not a directory"]


def test_a_place_that_this_user_may_not_write(write, tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    access = os.access  # of root, who may write everywhere, as of anybody else
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    assert problems(write("state: ../closed/here"), check_disk=True) == [
        f"shop.yaml:2: state: cannot be written: this user may not write into {closed}"
    ]


def test_a_deployment_without_the_key_is_not_held_to_it(write):
    """As before there was one: a base path that is the file's own folder holds the state directory."""
    path = write(base_path=".")
    (path.parent / "1").symlink_to("models/m/1")
    assert load_deployment(path, check_disk=True).state_dir == path.parent / ".tfs-deploy/a"
