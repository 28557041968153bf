"""What the demo's story needs to show itself; the command line brings a terminal, tests a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tfs_deploy.report import Table


class Bar(Protocol):
    """Progress of one long piece of work."""

    def advance(self, steps: float = 1.0) -> None:
        """Count ``steps`` more of the total."""

    def say(self, text: str) -> None:
        """Replace the description."""


class View(Protocol):
    """Where the story is told."""

    def heading(self, title: str, text: str) -> None:
        """Begin an act: its name, and in a sentence what happens in it."""

    def note(self, text: str) -> None:
        """Say one line."""

    def table(self, table: Table) -> None:
        """Show a table."""

    def progress(self, text: str, total: float | None = None) -> AbstractContextManager[Bar]:
        """Show long work while the context lasts."""
