# SPDX-License-Identifier: Apache-2.0
"""What the demo needs to show its story; the command line passes a terminal, tests pass a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tfs_deploy.report import Table


class ProgressBar(Protocol):
    """The progress of one long task."""

    def advance(self, steps: float = 1.0) -> None:
        """Count ``steps`` more of the total."""

    def say(self, text: str) -> None:
        """Replace the text."""


class View(Protocol):
    """Where the story is shown."""

    def heading(self, title: str, text: str) -> None:
        """Begin an act with its title and a sentence about it."""

    def note(self, text: str) -> None:
        """Show one line."""

    def table(self, table: Table) -> None:
        """Show a table."""

    def progress(self, text: str, total: float | None = None) -> AbstractContextManager[ProgressBar]:
        """Show the progress of a long task while the context lasts."""
