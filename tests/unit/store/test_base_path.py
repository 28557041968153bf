# SPDX-License-Identifier: Apache-2.0
"""Where a version may go, and which numbers can be asked for."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.store.base_path import check_base_path, check_version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a valid base path"),
        ("models/../../etc", "leaves a directory with '..'"),
        ("models/..", "leaves a directory with '..'"),
        ("..", "leaves a directory with '..'"),
        ("../..", "leaves a directory with '..'"),
        ("gs://bucket/models/digits", "is not a local directory"),
        ("s3://bucket/digits", "is not a local directory"),
        ("models/digits/3", "ends in '3', which a server would take for a version"),
        ("models/digits/0007", "would take for a version"),
        ("a\0b", "is not a valid base path"),
    ],
)
def test_refused_base_paths(text, message):
    with pytest.raises(UsageError, match=r".") as caught:
        check_base_path(text)
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["models/digits", "./models", "../models/digits", "../../m", "v3", "a..b/c"])
def test_accepted_base_paths_become_absolute(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert check_base_path(text).is_absolute()
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("below", ["", "/digits", "/a/b/c"])
def test_a_file_in_the_way(tmp_path, below):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is not a directory"):
        check_base_path(f"{tmp_path}/file{below}")


def test_a_link_to_nowhere_and_a_loop(tmp_path):
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("nowhere", "loop", "loop/below"):
        with pytest.raises(UsageError) as caught:
            check_base_path(tmp_path / name)
        assert caught.value.hint


@pytest.mark.parametrize("version", [None, "timestamp", 0, 1, 2**63 - 1])
def test_versions_that_can_be_asked_for(version):
    assert check_version(version) == version


@pytest.mark.parametrize("version", [-1, 2**63, True, "1", "next", 1.0, b"1"])
def test_versions_that_cannot(version):
    with pytest.raises(UsageError) as caught:
        check_version(version)
    assert caught.value.hint
