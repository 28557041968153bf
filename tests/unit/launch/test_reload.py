# SPDX-License-Identifier: Apache-2.0
"""Sending a config: the file first, and back to what it was only if the server refuses."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    StatusError,
    UnavailableError,
    UnknownError,
)
from tfs_deploy.launch.reload import reload_config


class Server:
    """Answers a reload with an error, or takes it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def reload(self, config: object, *, timeout: float) -> None:
        if self.error is not None:
            raise self.error


def send(error: Exception | None) -> list[str]:
    """Return what became of the file."""
    file: list[str] = []
    try:
        reload_config(
            Server(error), "config", write=lambda: file.append("new"), restore=lambda: file.append("old"), timeout=1.0
        )
    except StatusError:
        file.append("raised")
    return file


@pytest.mark.parametrize(
    ("error", "file"),
    [
        (None, ["new"]),
        (FailedPreconditionError("version 2 is not currently available"), ["new", "old", "raised"]),
        (UnknownError("a model did not load"), ["new"]),
        (DeadlineExceededError("no answer"), ["new", "raised"]),
        (UnavailableError("connection refused"), ["new", "raised"]),
    ],
)
def test_only_a_refusal_puts_the_file_back(error, file):
    assert send(error) == file
