# SPDX-License-Identifier: Apache-2.0
"""The logs of a deployment's servers.

``server.log`` is the embedded server's, ``next-server.log`` that of one that is to replace it, ``.log.1`` what the one
before wrote; the server itself appends to them. ``failed.log`` keeps the last lines of a container that did not come
up, since the container is removed; those of a container that runs are kept by the engine.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME: Final = "server.log"
SUCCESSOR: Final = "next-server.log"
FAILED: Final = "failed.log"


def log_path(state_dir: Path, *, successor: bool = False) -> Path:
    """Return where the embedded server's log is, or that of the server that is to replace it."""
    return state_dir / (SUCCESSOR if successor else NAME)


def failed_log_path(state_dir: Path) -> Path:
    """Return where the last lines of a container that did not come up are."""
    return state_dir / FAILED


def set_aside(log: Path) -> None:
    """Rename a log, if there is one, so that the next server begins an empty one; the one before it is dropped."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_suffix(".log.1"))


def keep_failed_log(state_dir: Path, lines: Iterable[str]) -> None:
    """Keep the last lines of a container that did not come up, as far as the disk allows."""
    with contextlib.suppress(OSError):  # a full disk must not hide why the server ended
        failed_log_path(state_dir).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
