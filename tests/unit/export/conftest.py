# SPDX-License-Identifier: Apache-2.0
"""Written models are replayed by processes that start at once; the commands' tests start them as users do."""

from __future__ import annotations

import sys

import pytest

from support.forked_command import run_module
from tfs_deploy.export.evidence import validation

PYTHON, AS_USERS_DO = sys.executable, validation.run_replay


@pytest.fixture(autouse=True)
def _replay_in_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_replay(arguments, environment, timeout):
        if sys.executable != PYTHON:
            return AS_USERS_DO(arguments, environment, timeout)
        return run_module("tfs_deploy.export.evidence.replay", arguments, timeout, env=environment)

    monkeypatch.setattr(validation, "run_replay", run_replay)
