"""Requests to a running controller, left in a file: ``abort``, ``pause``, ``promote`` or ``promote-now``."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, file_hint
from tfs_deploy.rollout.controller.journal import model_dir

if TYPE_CHECKING:
    from pathlib import Path

REQUESTS: Final = ("abort", "pause", "promote", "promote-now")


class FileMailbox:
    """``STATE_DIR/rollouts/MODEL/request``: one word, removed when it has been met."""

    def __init__(self, state_dir: Path, model: str) -> None:
        self.path = model_dir(state_dir, model) / "request"

    def read(self) -> str | None:
        """Return the request, ``None`` if there is none."""
        try:
            word = self.path.read_text(encoding="utf-8").strip()
        except OSError:
            return None
        return word if word in REQUESTS else None

    def post(self, request: str) -> None:
        """Leave a request for the controller that is at work."""
        fresh = self.path.with_name("request.new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(request + "\n", encoding="utf-8")
            fresh.replace(self.path)
        except OSError as error:
            raise EnvironmentFault(
                f"{self.path} cannot be written: {error.strerror or error}", hint=file_hint(error)
            ) from error

    def clear(self) -> None:
        """Remove the request."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
