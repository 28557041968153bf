# SPDX-License-Identifier: Apache-2.0
"""Formats: one that is not named is the first, a later one is refused and never written over."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy.config.written import read_written
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.host.machine import boot_id
from tfs_deploy.rollout.controller.journal import Journal
from tfs_deploy.rollout.machine.history import Event
from tfs_deploy.state import (
    active,
    endpoint,
    journal,
    last_start,
    request_tallies,
    sealed_lines,
    server_record,
    traffic,
)
from tfs_deploy.state.json_files import is_damage, read_json, write_json
from tfs_deploy.state.mailbox import FileMailbox
from tfs_deploy.state.request_tallies import Tally, TallyReader, TallyWriter

LATER = "has format {}, written by a later release of tfs-deploy (this one knows {})"


def write_all(state_dir: Path) -> dict[str, Path]:
    """Write one file of each kind that has a format; return them by the name of their module."""
    active.write_active(state_dir, {"m": ActiveModel((1,), {"stable": 1}, "sha256:x")})
    endpoint.write_endpoint(state_dir, "a:1", None)
    last_start.write_last_start(state_dir, 4.2)
    record = server_record.ServerRecord(1, 2, boot_id(), "a:1", None, (), (), Path("/moved/log"), 0)
    server_record.write_server(state_dir, record)
    traffic.write_traffic(state_dir / traffic.NAME, "m", {"stable": 100})
    Journal.create(state_dir, "m").append(Event("note"))
    TallyWriter(request_tallies.requests_dir(state_dir, "m")).append({"stable": Tally(requests=1)}, 0.0, 1.0)
    return {
        "active": state_dir / active.NAME,
        "endpoint": state_dir / endpoint.NAME,
        "last_start": state_dir / last_start.NAME,
        "server_record": state_dir / server_record.Role.CURRENT.value,
        "traffic": state_dir / traffic.NAME,
        "journal": journal.journals(state_dir, "m")[0],
        "request_tallies": next(request_tallies.requests_dir(state_dir, "m").glob("*.jsonl")),
    }


MODULES = {
    "active": (active, active.read_active),
    "endpoint": (endpoint, endpoint.read_endpoint),
    "server_record": (server_record, server_record.read_server),
    "traffic": (traffic, lambda state_dir: traffic.read_traffic(state_dir / traffic.NAME)),
    "journal": (sealed_lines, lambda state_dir: Journal(journal.journals(state_dir, "m")[0]).read()),
    "request_tallies": (
        request_tallies,
        lambda state_dir: list(TallyReader(request_tallies.requests_dir(state_dir, "m")).lines()),
    ),
}


def test_files_of_format_1_do_not_name_it(tmp_path):
    for name, path in write_all(tmp_path).items():
        assert ("format" in json.loads(path.read_text())) == (name == "journal")


@pytest.mark.parametrize("name", MODULES)
def test_a_later_format_is_an_error_that_says_what_to_do(tmp_path, monkeypatch, name):
    module, read = MODULES[name]
    known = module.VERSION
    monkeypatch.setattr(module, "VERSION", known + 1)
    path = write_all(tmp_path)[name]
    assert json.loads(path.read_text())["format"] == known + 1
    assert read(tmp_path)
    monkeypatch.undo()

    with pytest.raises(EnvironmentFault) as caught:
        read(tmp_path)
    assert caught.value.message.endswith(f"{path.name} {LATER.format(known + 1, known)}")
    assert "pip install --upgrade tf-serving-deploy" in caught.value.hint
    assert not is_damage(caught.value)


def test_what_is_written_over_when_damaged_is_not_when_of_a_later_format(tmp_path, monkeypatch):
    for module in (active, endpoint, traffic):
        monkeypatch.setattr(module, "VERSION", 2)
    paths = write_all(tmp_path)
    monkeypatch.undo()
    texts = {path: path.read_bytes() for path in paths.values()}

    for act in (
        lambda: active.damage_of(tmp_path),
        lambda: endpoint.write_endpoint(tmp_path, "b:1", None),
        lambda: traffic.set_aside_if_damaged(tmp_path / traffic.NAME),
        lambda: traffic.write_traffic(tmp_path / traffic.NAME, "m", {"stable": 100}),
    ):
        with pytest.raises(EnvironmentFault, match="has format 2"):
            act()
    assert {path: path.read_bytes() for path in texts} == texts


def test_how_long_a_start_took_is_unknown_in_a_later_format(tmp_path):
    write_json(tmp_path / last_start.NAME, {"seconds": 1.0}, version=2)
    assert last_start.read_last_start(tmp_path) is None


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert read_json(tmp_path / "x", dict, known=1, hint="") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [("{}", "'a' is missing"), ("[]", "list indices must be integers"), ("{", "Expecting property name")],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path, text, why):
    (tmp_path / "x").write_text(text)
    with pytest.raises(EnvironmentFault, match=f"x is damaged: {why}") as caught:
        read_json(tmp_path / "x", lambda document: document["a"], known=1, hint="delete it")
    assert caught.value.hint == "delete it"
    assert is_damage(caught.value)


def test_a_disk_that_fails_is_not_damage(tmp_path):
    with pytest.raises(EnvironmentFault, match="cannot be read: Is a directory") as caught:
        read_json(tmp_path, dict, known=1, hint="delete it")
    assert not is_damage(caught.value)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_file_that_would_hang_its_reader_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    readers: dict[str, Callable[[Path], Any]] = {
        "state": lambda path: read_json(path, lambda document: document, known=1, hint="remove it"),
        "config": read_written,
        "journal": lambda path: journal.JournalFile(path).entries(lambda entry: entry),
    }
    for name, read in readers.items():
        path = tmp_path / name
        make(path)
        with pytest.raises(EnvironmentFault, match=name):
            read(path)
    mailbox = FileMailbox(tmp_path, "m")
    mailbox.path.parent.mkdir(parents=True)
    make(mailbox.path)
    assert mailbox.read() is None
