# SPDX-License-Identifier: Apache-2.0
"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere, nothing in quiet mode."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from tfs_deploy.rollout.progress import RolloutProgress

_ERASE: Final = "\r\x1b[2K"
#: seconds between the plain lines that replace a bar without a terminal
_PLAIN_INTERVAL: Final = 5.0
#: columns of the description (fixed, so that the bar stays where it is), of the bar, and of spinner, time and gaps;
#: three stay free, since the ^C that a terminal echoes must not begin a new line
_WIDEST, _BAR, _BESIDE = 62, 10, 14
#: columns below which the description gets the place of the bar
_NARROW: Final = 70


class Progress(Protocol):
    """How a command reports long work: the steps done, and a description."""

    def advance(self, steps: float = 1.0) -> None:
        """Count ``steps`` more of the total."""

    def say(self, text: str) -> None:
        """Replace the description."""


@contextlib.contextmanager
def on_terminal(console: Console, description: str, total: float | None) -> Iterator[Progress]:
    """Show a bar; when the work is done, one line with the last description and the time replaces it."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column
    from rich.text import Text

    wide = console.width >= _NARROW
    width = max(10, min(_WIDEST, console.width - (_BAR if wide else 0) - _BESIDE))
    text = Column(width=width, no_wrap=True, overflow="ellipsis")
    columns = (
        SpinnerColumn(style="cyan"),
        TextColumn("{task.description}", markup=False, table_column=text),
        *((BarColumn(bar_width=_BAR),) if wide else ()),
        TimeElapsedColumn(),
    )
    started = time.monotonic()
    with RichProgress(*columns, console=console, transient=True) as rich_bar:
        bar = _Bar(rich_bar, rich_bar.add_task(description, total=total), description)
        yield bar
    mark = "✓" if console.encoding.lower().startswith("utf") else "*"
    seconds = time.monotonic() - started
    console.print(Text.assemble((mark, "green"), f" {bar.text}", (f"  {seconds:.1f} s", "dim")))


@contextlib.contextmanager
def as_lines(description: str, total: float | None) -> Iterator[Progress]:
    """Print a plain line every few seconds, and one at the end."""
    lines = _PlainLines(description, total)
    yield lines
    lines.done()


class Silent:
    """Shows nothing."""

    def advance(self, steps: float = 1.0) -> None:
        """Count nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""


class _Bar:
    def __init__(self, bar: Any, task: Any, text: str) -> None:
        self._bar = bar
        self._task = task
        self.text = text

    def advance(self, steps: float = 1.0) -> None:
        self._bar.advance(self._task, steps)

    def say(self, text: str) -> None:
        self.text = text
        self._bar.update(self._task, description=text)


class _PlainLines:
    def __init__(self, description: str, total: float | None) -> None:
        self._text = description
        self._total = total
        self._count = 0.0
        self._started = self._last = time.monotonic()

    def advance(self, steps: float = 1.0) -> None:
        self._count += steps
        self._now_and_then()

    def say(self, text: str) -> None:
        self._text = text
        self._now_and_then()

    def done(self) -> None:
        click.echo(f"{self._text} ({time.monotonic() - self._started:.1f} s)", err=True)

    def _now_and_then(self) -> None:
        if time.monotonic() - self._last >= _PLAIN_INTERVAL:
            self._last = time.monotonic()
            share = f" {100 * self._count / self._total:.0f} %" if self._total else ""
            click.echo(f"{self._text}:{share} {self._last - self._started:.0f} s", err=True)


class LiveLine:
    """Shows one text at a time on standard error, if that is a terminal; ``clear`` before anything else is printed."""

    def __init__(self, *, shows: bool = True) -> None:
        self._shows = shows and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._text = ""

    def show(self, text: str) -> None:
        """Replace the line, cut to the terminal's width."""
        text = text[: shutil.get_terminal_size().columns - 1]
        if self._shows and text != self._text:
            sys.stderr.write(f"{_ERASE}{text}")
            sys.stderr.flush()
            self._text = text

    def clear(self) -> None:
        """Remove the line."""
        if self._text:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._text = ""


def progress_text(at: RolloutProgress) -> str:
    """Return a rollout's progress in one line: step, percent, requests and errors, time left."""
    if at.left is None:
        return at.why
    canary, total = at.canary, at.canary + at.others
    seen = "no request yet"
    if total.requests:
        seen = f"canary {canary.requests:,} requests, {canary.errors:,} failed"
        seen += f"; all {total.requests:,}, {total.errors:,} failed"
    left = f"{at.left:.0f} s left" if at.left else "waiting for samples"
    return f"step {at.step} of {at.steps}, {at.weight:g} %: {seen}; {left}"
