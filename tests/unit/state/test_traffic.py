# SPDX-License-Identifier: Apache-2.0
"""The traffic file: percentages that add up, replaced whole, never guessed at."""

from __future__ import annotations

import errno
import json
import os
import threading

import pytest

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.state import json_files
from tfs_deploy.state.endpoint import read_endpoint
from tfs_deploy.state.traffic import Traffic, read_traffic, set_aside_if_damaged, write_traffic


def test_write_and_read(tmp_path):
    path = tmp_path / "state" / "traffic.json"
    assert read_traffic(path) == Traffic(0, {})
    assert write_traffic(path, "digits", {"stable": 95, "canary": 5.0}).generation == 1
    write_traffic(path, "other", {"stable": 100})
    assert read_traffic(path) == Traffic(2, {"digits": {"stable": 95.0, "canary": 5.0}, "other": {"stable": 100.0}})
    assert [entry.name for entry in path.parent.iterdir()] == ["traffic.json"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"stable": 90, "canary": 5}, "adds up to 95 %"),
        ({}, "adds up to 0 %"),
        ({"stable": 110, "canary": -10}, "label canary of digits: -10"),
        ({"stable": float("nan")}, "label stable of digits: nan"),
        ({"stable": "100"}, "label stable of digits: '100'"),
        ({"stable": True}, "label stable of digits: True"),
    ],
)
def test_only_percentages_that_add_up_are_written(tmp_path, weights, message):
    path = tmp_path / "traffic.json"
    with pytest.raises(UsageError, match=message):
        write_traffic(path, "digits", weights)
    assert not path.exists()


@pytest.mark.parametrize(
    ("problem", "reason", "hint"),
    [
        (errno.ENOSPC, "No space left on device", "make room"),
        (errno.EACCES, "Permission denied", "permissions"),
        (errno.EIO, "Input/output error", "dmesg"),
    ],
)
def test_a_file_that_the_system_does_not_give_says_why_and_what_to_do(tmp_path, monkeypatch, problem, reason, hint):
    def refuse(*_, **__):
        raise OSError(problem, os.strerror(problem))

    monkeypatch.setattr(json_files, "read_regular", refuse)
    for read in (lambda: read_traffic(tmp_path / "traffic.json"), lambda: read_endpoint(tmp_path)):
        with pytest.raises(EnvironmentFault) as caught:
            read()
        assert caught.value.message.endswith(f".json cannot be read: {reason}")
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"generation": 1, "models": 3}', '{"generation": 1, "models": {"m": {"a": 5}}}']
)
def test_a_damaged_file_is_not_guessed_at(tmp_path, text):
    path = tmp_path / "traffic.json"
    path.write_text(text)
    with pytest.raises(EnvironmentFault, match=r"traffic\.json (cannot be read|is damaged)"):
        read_traffic(path)


def test_a_directory_that_cannot_be_written(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(EnvironmentFault, match=r"cannot be (read|written)"):
        write_traffic(blocker / "traffic.json", "digits", {"stable": 100})


def test_readers_never_see_half_a_file(tmp_path):
    path = tmp_path / "traffic.json"
    write_traffic(path, "digits", {"stable": 100, "canary": 0})
    done = threading.Event()
    seen = []

    def read():
        while not done.is_set():
            seen.append(read_traffic(path).generation)

    reader = threading.Thread(target=read)
    reader.start()
    for percent in range(100):
        write_traffic(path, "digits", {"stable": 100 - percent, "canary": percent})
    done.set()
    reader.join()
    assert seen == sorted(seen)


def test_only_a_damaged_file_is_set_aside(tmp_path):
    path = tmp_path / "traffic.json"
    assert set_aside_if_damaged(path) is None
    write_traffic(path, "digits", {"stable": 100})
    assert set_aside_if_damaged(path) is None
    path.write_text("nonsense")
    assert set_aside_if_damaged(path) == tmp_path / "traffic.damaged"
    assert read_traffic(path) == Traffic()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traffic.json"


def test_the_file_is_readable_by_other_tools(path):
    write_traffic(path, "digits", {"stable": 75, "canary": 25})
    document = json.loads(path.read_text())
    assert len(document.pop("crc32c")) == 8
    assert document == {"generation": 1, "models": {"digits": {"canary": 25.0, "stable": 75.0}}}
    assert path.stat().st_mode & 0o777 == 0o644
