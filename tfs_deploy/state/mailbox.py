# SPDX-License-Identifier: Apache-2.0
"""``rollouts/MODEL/request``: what a rollout that is at work is asked to do, one word.

Any command may leave a request, without a lock: the file is replaced whole, the last request counts. The process that
holds the deployment's lock reads it between two actions and removes it once it is met.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from tfs_deploy.atomic import write_atomic
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.state.journal import rollout_dir

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "request"
REQUESTS: Final = ("abort", "pause", "promote", "promote-now")


class FileMailbox:
    """The request to the rollout of one model."""

    def __init__(self, state_dir: Path, model: str) -> None:
        self.path = rollout_dir(state_dir, model) / NAME

    def read(self) -> str | None:
        """Return the request, None if there is none."""
        try:
            word = read_regular(self.path).decode().strip()
        except (OSError, UnicodeDecodeError):
            return None
        return word if word in REQUESTS else None

    def post(self, request: str) -> None:
        """Leave a request, replacing an earlier one; raises ``EnvironmentFault``."""
        write_atomic(self.path, request + "\n")

    def clear(self) -> None:
        """Remove the request."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
