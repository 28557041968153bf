# SPDX-License-Identifier: Apache-2.0
"""Requests to a rollout that is at work."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.mailbox import REQUESTS, FileMailbox


def test_the_last_request_counts_until_it_is_met(tmp_path):
    mailbox = FileMailbox(tmp_path, "a/b")
    assert mailbox.read() is None
    for request in REQUESTS:
        mailbox.post(request)
        assert FileMailbox(tmp_path, "a/b").read() == request
    assert FileMailbox(tmp_path, "other").read() is None
    mailbox.clear()
    assert mailbox.read() is None
    mailbox.clear()
    assert [path.name for path in tmp_path.rglob("*")] == ["rollouts", "a%2Fb"]


def test_a_word_that_is_not_a_request_is_ignored(tmp_path):
    mailbox = FileMailbox(tmp_path, "m")
    mailbox.post("hurry")
    assert mailbox.read() is None


def test_a_request_that_cannot_be_left(tmp_path):
    (tmp_path / "rollouts").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot write to"):
        FileMailbox(tmp_path, "m").post("abort")
