"""The one sink of all commands: data to stdout, everything else to stderr; human, JSON and quiet modes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

import click

from tfs_deploy.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from tfs_deploy.errors import TfsDeployError

#: seconds between the plain progress lines that replace a bar where there is no terminal
_PLAIN_INTERVAL = 5.0


class Progress(Protocol):
    """What a command is given to report long work: steps done, and a text."""

    def advance(self, steps: float = 1.0) -> None:
        """Count ``steps`` more of the total."""

    def say(self, text: str) -> None:
        """Replace the description."""


class Output:
    """Prints the results, notes, progress and errors of one command."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Output:
        """Choose the mode before any command is parsed, so that usage errors obey it too."""
        own = arguments[: arguments.index("--")] if "--" in arguments else arguments
        return cls(as_json="--json" in own, quiet="--quiet" in own or "-q" in own)

    def result(self, document: Mapping[str, Any], render: str | Callable[[Console], None] | None = None) -> None:
        """Print a result: ``document`` with --json, else ``render`` (text, or a function of a rich console)."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2, default=str))
        elif self.quiet or render is None:
            return
        elif isinstance(render, str):
            click.echo(render)
        else:
            render(self.console())

    def note(self, text: str) -> None:
        """Say on stderr what is going on."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Say on stderr what the user should know even in quiet mode."""
        click.echo(f"warning: {text}", err=True)

    def error(self, error: TfsDeployError) -> None:
        """Print an error: message, empty line, hint; with --json also as the one document on stdout.

        The problems of a file are one line each, ``file:line: path: message``, as editors and compilers read them.
        """
        problems = error.problems if isinstance(error, SpecError) else []
        if self.as_json:
            about = {"message": error.message, "hint": error.hint, "retriable": error.retriable}
            details = {"problems": [asdict(problem) for problem in problems]} if problems else {}
            document = {"error": {"type": type(error).__name__, **about, "exit_code": error.exit_code, **details}}
            click.echo(json.dumps(document, indent=2))
        label = click.style("error:", fg="red", bold=True)
        click.echo(error.message if problems else f"{label} {error.message}", err=True)
        if error.hint is not None:
            click.echo(f"\n{click.style('hint:', fg='cyan', bold=True)} {error.hint}", err=True)

    def interrupted(self) -> None:
        """Say that the user stopped the command."""
        click.echo("interrupted", err=True)

    def broken_pipe(self) -> None:
        """Keep the interpreter from complaining about a reader that went away (``| head``)."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def console(self, *, stderr: bool = False) -> Console:
        """Return a rich console on stdout (or stderr); plain text where that is no terminal."""
        from rich.console import Console

        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 110
        return Console(file=stream, width=width, highlight=False, soft_wrap=False)

    @contextlib.contextmanager
    def progress(self, description: str, total: float | None = None) -> Iterator[Progress]:
        """Show long work: a bar on a terminal, else a plain line now and then; nothing in quiet mode."""
        if self.quiet:
            yield _Silent()
        elif sys.stderr.isatty():
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as RichProgress

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            with RichProgress(*columns, console=self.console(stderr=True)) as bar:
                task = bar.add_task(description, total=total)
                yield _Bar(bar, task)
                bar.update(task, total=total or 1, completed=total or 1)
        else:
            lines = _PlainLines(description, total)
            yield lines
            lines.done()


class _Silent:
    def advance(self, steps: float = 1.0) -> None:
        pass

    def say(self, text: str) -> None:
        pass


class _Bar:
    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task

    def advance(self, steps: float = 1.0) -> None:
        self._bar.advance(self._task, steps)

    def say(self, text: str) -> None:
        self._bar.update(self._task, description=text)


class _PlainLines:
    def __init__(self, description: str, total: float | None) -> None:
        self._text = description
        self._total = total
        self._count = 0.0
        self._started = self._last = time.monotonic()

    def advance(self, steps: float = 1.0) -> None:
        self._count += steps
        if time.monotonic() - self._last >= _PLAIN_INTERVAL:
            self._last = time.monotonic()
            share = f" {100 * self._count / self._total:.0f} %" if self._total else ""
            click.echo(f"{self._text}:{share} {self._last - self._started:.0f} s", err=True)

    def say(self, text: str) -> None:
        self._text = text

    def done(self) -> None:
        click.echo(f"{self._text}: done in {time.monotonic() - self._started:.1f} s", err=True)
