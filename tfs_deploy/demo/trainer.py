"""Runs the training process and hands out its events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LAST_LINES = 12


def train(folder: Path, log: Path) -> Iterator[dict[str, Any]]:
    """Train and export into ``folder``; yield ``{"event": "epoch" | "exported", ...}`` as they happen.

    What the process says besides goes to ``log``. The process ends with the iterator, also when that is closed early.
    Raises ``EnvironmentFault`` with the last lines of the log when it fails.
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "tfs_deploy.demo.train", str(folder)]
    with (
        log.open("ab") as noise,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=noise, env=environment) as process,
    ):
        try:
            for line in process.stdout or ():
                event = _event(line)
                if event is not None:
                    yield event
            if process.wait() != 0:
                last = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
                raise EnvironmentFault("Training failed:\n" + "\n".join(last), hint=f"the whole log: {log}")
        finally:
            process.kill()


def _event(line: bytes) -> dict[str, Any] | None:
    """Read one line; libraries that print to stdout are not ours to judge."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
