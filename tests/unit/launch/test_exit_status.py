# SPDX-License-Identifier: Apache-2.0
"""What the end of a server process means."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.launch.exit_status import describe_exit, exit_status


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (132, "illegal instruction"),
        (137, "memory ran out"),
        (255, "a model did not load"),
        (128 + 1, "ended by SIGHUP"),
        (128 + 100, "exit code 228"),
        (77, "exit code 77"),
        (None, "unknown"),
    ],
)
def test_exit_codes_are_explained(code, words):
    assert words in describe_exit(code)


def test_wait_statuses_become_exit_codes():
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    assert exit_status(os.waitpid(pid, 0)[1]) == 3
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -9 $$"], {})
    assert exit_status(os.waitpid(pid, 0)[1]) == 137
