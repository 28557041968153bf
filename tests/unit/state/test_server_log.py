# SPDX-License-Identifier: Apache-2.0
"""Logs in the state directory."""

from __future__ import annotations

from tfs_deploy.state.server_log import failed_log_path, keep_failed_log, log_path, set_aside


def test_a_log_is_set_aside_once_and_the_one_before_it_is_dropped(tmp_path):
    log = log_path(tmp_path, successor=True)
    set_aside(log)
    for text in ("one", "two"):
        log.write_text(text)
        set_aside(log)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"next-server.log.1": "two"}


def test_the_log_of_a_container_that_did_not_come_up(tmp_path):
    keep_failed_log(tmp_path, ["one", "two"])
    assert failed_log_path(tmp_path).read_text() == "one\ntwo\n"
    keep_failed_log(tmp_path / "gone", ["one"])
    assert not (tmp_path / "gone").exists()
