# SPDX-License-Identifier: Apache-2.0
"""Run the training process and yield its events."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.host.python_module import module_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def train(folder: Path, log: Path) -> Iterator[dict[str, Any]]:
    """Train and export into ``folder``; yield ``{"event": "epoch" | "exported", ...}`` as they happen.

    Other output of the process goes to ``log``. The process ends with the iterator, also if that is closed early.
    Raises ``EnvironmentFault`` with the process's own reason if it fails.
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONUNBUFFERED": "1"}
    command = module_command("tfs_deploy.demo.train", str(folder))
    with (
        log.open("ab") as noise,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=noise, env=environment) as process,
    ):
        failure: dict[str, Any] = {}
        try:
            for line in process.stdout or ():
                event = _event(line)
                if event is None:
                    continue
                if event["event"] == "failed":
                    failure = event
                else:
                    yield event
            if process.wait() != 0:
                reason = failure.get("message") or f"the process ended with {process.returncode}"
                raise EnvironmentFault(f"training failed: {reason}", hint=failure.get("hint") or f"see its log: {log}")
        finally:
            process.kill()


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, ``None`` for other output; libraries may print to stdout."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
