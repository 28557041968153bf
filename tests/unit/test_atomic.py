# SPDX-License-Identifier: Apache-2.0
"""Files are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfs_deploy import atomic
from tfs_deploy.atomic import make_directory, remove_leftovers, require_room, sync_directory, write_atomic, write_files
from tfs_deploy.config import write_config
from tfs_deploy.deployment import Batching, Deployment, Model, Monitoring
from tfs_deploy.errors import EnvironmentFault


def test_files_and_their_directory_are_made(tmp_path):
    paths = write_files(tmp_path / "a/b", {"x": "1", "y": "ü"})
    assert [path.read_text(encoding="utf-8") for path in paths] == ["1", "ü"]
    assert sorted(path.name for path in (tmp_path / "a/b").iterdir()) == ["x", "y"]


def test_a_server_of_another_user_can_read_them(tmp_path):
    write_atomic(tmp_path / "x", "1")
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_a_reader_of_the_old_file_keeps_it(tmp_path):
    write_atomic(tmp_path / "x", "old")
    with (tmp_path / "x").open() as reader:
        write_atomic(tmp_path / "x", "new")
        assert reader.read() == "old"
    assert (tmp_path / "x").read_text() == "new"


def test_nothing_changes_if_one_file_cannot_be_written(tmp_path, monkeypatch):
    """A disk that fills up while the second file is written leaves both old ones."""
    write_files(tmp_path, {"x": "old", "y": "old"})
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentFault, match="No space left"):
        write_files(tmp_path, {"x": "new", "y": "new"})
    assert sorted((path.name, path.read_text()) for path in tmp_path.iterdir()) == [("x", "old"), ("y", "old")]


def test_an_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "x", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_a_file_is_named(tmp_path):
    (tmp_path / "x").touch()
    with pytest.raises(EnvironmentFault, match=f"cannot write to {tmp_path}/x/y"):
        write_atomic(tmp_path / "x/y/z", "1")


def test_the_config_of_a_deployment(tmp_path):
    deployment = Deployment("d", tmp_path / "d.yaml", tmp_path, (Model("m", Path("/m")),), batching=Batching())
    paths = write_config(deployment, tmp_path / "config")
    assert [path.name for path in paths] == ["models.config", "batching.config"]
    more = Deployment("d", tmp_path / "d.yaml", tmp_path, (Model("m", Path("/m")),), monitoring=Monitoring())
    assert [path.name for path in write_config(more, tmp_path / "config")] == ["models.config", "monitoring.config"]


def test_room_is_looked_for_where_files_will_be(tmp_path):
    for _ in range(2):
        require_room(tmp_path / "a" / "b", ["report.md", "report.html"])
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "report.md").mkdir()
    with pytest.raises(EnvironmentFault, match=r"report\.md is a directory|Is a directory"):
        require_room(tmp_path, ["report.html", "report.md"])
    (tmp_path / "x").touch()
    with pytest.raises(EnvironmentFault, match=f"cannot write to {tmp_path}/x/y"):
        require_room(tmp_path / "x/y", ["report.md"])


def test_a_directory_that_appears_meanwhile_is_as_good(tmp_path, monkeypatch):
    looks = iter([False])
    monkeypatch.setattr(Path, "is_dir", lambda path: next(looks, True))
    make_directory(tmp_path)
    assert list(looks) == []


@pytest.mark.parametrize(("number", "ignored"), [(errno.EINVAL, True), (errno.EOPNOTSUPP, True), (errno.EIO, False)])
def test_a_disk_that_cannot_sync_directories_is_used_and_one_that_fails_is_not(tmp_path, monkeypatch, number, ignored):
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with contextlib.nullcontext() if ignored else pytest.raises(OSError, match="Input/output error"):
        sync_directory(tmp_path)


def test_a_temporary_file_that_is_gone_hides_no_error(tmp_path, monkeypatch):
    def fail(descriptor: int) -> None:
        for path in tmp_path.iterdir():
            path.unlink()
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(EnvironmentFault, match="No space left"):
        write_atomic(tmp_path / "x", "new")


def test_files_can_be_for_their_owner_alone(tmp_path):
    write_files(tmp_path, {"key": "1", "cert": "2"}, modes={"key": 0o600})
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("key", "cert")] == [0o600, 0o644]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_leaves_a_file_with_its_owner(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    os.chown(path, 4711, 4712)
    write_atomic(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_another_user_than_root_leaves_owners_alone(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "fchown", lambda *to: given.append(to))
    write_atomic(tmp_path / "x", "old")
    write_atomic(tmp_path / "x", "new")
    assert given == []


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path, monkeypatch):
    def killed(descriptor: int) -> None:
        raise KeyboardInterrupt

    write_atomic(tmp_path / "active.json", "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", killed)
        patch.setattr(Path, "unlink", lambda path, **options: None)  # a process that is killed does not clean up
        with pytest.raises(KeyboardInterrupt):
            write_atomic(tmp_path / "active.json", "new")
    for name in (".hidden", "x.tmp", ".x.tmp", "rollout.lock"):
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == 6
    there = [tmp_path / ".gone.json.abcdefgh.tmp", *tmp_path.iterdir()]  # another process removes one meanwhile
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", lambda path: iter(there))
        remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(".hidden", ".x.tmp", "active.json", "rollout.lock", "x.tmp"),
    ]
    remove_leftovers(tmp_path / "nowhere")


def test_on_windows_a_reader_holds_up_the_replacement_of_its_file(tmp_path, monkeypatch):
    genuine, refused = Path.replace, iter([True, True])

    def replace(self, target):
        if next(refused, False):
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return genuine(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(atomic, "sys", SimpleNamespace(platform="win32"))
    write_atomic(tmp_path / "traffic.json", "new")
    assert (tmp_path / "traffic.json").read_text() == "new"
    assert next(refused, None) is None

    refused = itertools.repeat(True)
    monkeypatch.setattr(atomic, "_PATIENCE", 0.05)
    with pytest.raises(EnvironmentFault, match="The process cannot access the file"):
        write_atomic(tmp_path / "traffic.json", "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["traffic.json"]
