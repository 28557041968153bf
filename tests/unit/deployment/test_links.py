# SPDX-License-Identifier: Apache-2.0
"""Symbolic links of a served version that a container cannot follow."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.links import blind_links
from tfs_deploy.errors import SpecError

DOCKER = "server: {target: docker, docker: {image: 'a/b:1'%s}}\n"


@pytest.fixture
def folder(tmp_path):
    """A base path ``m`` without versions, and models outside of it (``store/7``) and in it (``m/builds/7``)."""
    for place in ("store/7", "m/builds/7"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "saved_model.pb").write_bytes(b"x")
    return tmp_path


def found(folder, server=DOCKER % "", versions="all") -> list[str]:
    path = folder / "d.yaml"
    path.write_text(f"name: d\n{server}models: [{{name: digits, base_path: m, versions: {versions}}}]\n")
    return [str(link.path.relative_to(folder)) for link in blind_links(load_deployment(path))]


@pytest.mark.parametrize("link", ["../store/7", "ABSOLUTE/store/7", "ABSOLUTE/m/builds/7", "../m/builds/7", "gone/.."])
def test_a_version_that_is_a_link_out_of_the_base_path(folder, link):
    """By its text, as the container reads it, where the base path is /models/digits."""
    (folder / "m/1").symlink_to(link.replace("ABSOLUTE", str(folder)))
    assert found(folder) == ([] if link == "gone/.." else ["m/1"])
    assert found(folder, server="") == []


def test_links_inside_the_base_path_work_in_the_container_too(folder):
    (folder / "m/1").symlink_to("builds/7")
    (folder / "m/now").symlink_to("builds")
    (folder / "m/2").symlink_to("now/7")
    (folder / "m/builds/7/again.pb").symlink_to("../../1/saved_model.pb")
    assert found(folder) == []


def test_a_file_in_a_version_and_a_link_on_the_way(folder):
    (folder / "m/1/variables").mkdir(parents=True)
    (folder / "m/1/variables/x").symlink_to("../../../store/7/saved_model.pb")
    (folder / "m/elsewhere").symlink_to("../store")
    (folder / "m/2").symlink_to("elsewhere/7")
    assert found(folder) == ["m/1/variables/x", "m/2"]


def test_only_versions_that_are_served_count(folder):
    (folder / "m/1").symlink_to("../store/7")
    (folder / "m/2").symlink_to("builds/7")
    assert found(folder, versions="latest") == []
    assert found(folder, versions="{specific: [1]}") == ["m/1"]


def test_what_a_mount_holds_is_seen(folder):
    (folder / "m/1").symlink_to("../../store/7")
    mounts = ", mounts: [{source: store, target: %s}]"
    assert found(folder, server=DOCKER % (mounts % "/store")) == []
    assert found(folder, server=DOCKER % (mounts % "/stores")) == ["m/1"]


def test_the_check_of_the_file_names_the_link(folder):
    (folder / "m/1").symlink_to("../store/7")
    assert found(folder) == ["m/1"]
    with pytest.raises(SpecError, match=r"d.yaml:3: models\[0\].base_path: .*m/1 is a symbolic link to \.\./store/7, "):
        load_deployment(folder / "d.yaml", check_disk=True)
