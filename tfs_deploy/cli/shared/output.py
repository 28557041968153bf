# SPDX-License-Identifier: Apache-2.0
"""The one sink of all commands: data to stdout, everything else to stderr; human, JSON and quiet modes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.errors import SpecError
from tfs_deploy.text import visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from rich.console import Console

    from tfs_deploy.cli.shared.progress import Progress
    from tfs_deploy.errors import TfsDeployError


class Output:
    """Prints the results, notes, progress and errors of one command."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, pages: bool = True) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.pages = pages

    @classmethod
    def from_arguments(cls, arguments: list[str]) -> Output:
        """Choose the mode before any command is parsed, so that usage errors obey it too."""
        own = arguments[: arguments.index("--")] if "--" in arguments else arguments
        output = cls(as_json="--json" in own, quiet="--quiet" in own or "-q" in own, pages="--no-pager" not in own)
        if "--no-color" in own:
            output.choose("no_color")
        return output

    def choose(self, name: str) -> None:
        """Take over an option of every command: ``as_json``, ``quiet``, ``no_color`` or ``no_pager``."""
        if name == "no_color":
            os.environ["NO_COLOR"] = "1"  # what rich, the pager and processes that are started read
        elif name == "no_pager":
            self.pages = False
        else:
            setattr(self, name, True)

    def result(
        self,
        document: Mapping[str, Any],
        render: str | Callable[[Console], None] | None = None,
        *,
        to_read: bool = False,
    ) -> None:
        """Print a result: ``document`` with --json, else ``render`` (text, or a function of a rich console).

        ``to_read``: it may be longer than a screen and is read from its beginning, so a terminal shows it in a pager.
        """
        if self.as_json:
            click.echo(json.dumps(document, indent=2, default=str))
        elif self.quiet or render is None:
            return
        elif isinstance(render, str):
            (self.page if to_read else click.echo)(render)
        elif to_read:
            console = self.console()
            with console.capture() as captured:
                render(console)
            self.page(captured.get().rstrip("\n"))
        else:
            render(self.console())

    def page(self, text: str) -> None:
        """Print text; in a pager if stdout is a terminal that it does not fit on, unless --no-pager or CI say no."""
        if self.pages and _needs_pager(text):
            click.echo_via_pager(text + "\n")
        else:
            click.echo(text)

    def line(self, document: Mapping[str, Any], text: str) -> None:
        """Print one result of many on a line of its own: ``document`` with --json, else ``text``."""
        if self.as_json:
            click.echo(json.dumps(document, default=str))
        elif not self.quiet:
            click.echo(text)

    def note(self, text: str) -> None:
        """Print a note on stderr."""
        if not self.quiet:
            click.echo(visible(text), err=True)

    def heading(self, text: str) -> None:
        """Print the title of what follows on stderr."""
        if not self.quiet:
            click.echo(styled(text, fg="cyan", bold=True), err=True)

    def warn(self, text: str) -> None:
        """Print a warning on stderr, also in quiet mode."""
        click.echo(f"{styled('warning:', fg='yellow', bold=True)} {visible(text)}", err=True)

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
        label = styled("error:", fg="red", bold=True)
        # lines that a name or an answer brings stay below the first
        message = visible(error.message).replace("\n", "\n  ")
        lines = "\n".join(visible_line(str(problem)) for problem in problems)
        click.echo(lines or f"{label} {message}", err=True)
        if error.hint is not None:
            click.echo(f"\n{styled('hint:', fg='cyan', bold=True)} {visible(error.hint)}", err=True)

    def interrupted(self) -> None:
        """Report that the user stopped the command."""
        click.echo("interrupted", err=True)

    def broken_pipe(self) -> None:
        """Keep the interpreter from complaining about a reader that went away (``| head``)."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def console(self, *, stderr: bool = False) -> Console:
        """Return a rich console on stdout (or stderr); plain text if that is not a terminal."""
        from rich.console import Console as RichConsole

        class Console(RichConsole):
            def on_broken_pipe(self) -> None:
                raise BrokenPipeError  # rich would end the program with exit code 1; ``main.run`` decides that

        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() else 110
        return Console(file=stream, width=width, highlight=False, soft_wrap=False)

    def progress(self, description: str, total: float | None = None) -> AbstractContextManager[Progress]:
        """Show long work: a bar on a terminal, else a plain line now and then; nothing in quiet mode."""
        from tfs_deploy.cli.shared import progress

        if self.quiet:
            return contextlib.nullcontext(progress.Silent())
        if sys.stderr.isatty():
            return progress.on_terminal(self.console(stderr=True), description, total)
        return progress.as_lines(description, total)


def _needs_pager(text: str) -> bool:
    """Tell whether a person sits at a terminal that is too small for the text."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb" or os.environ.get("CI"):
        return False
    if os.environ.get("PAGER") in ("", "cat"):
        return False
    columns, rows = shutil.get_terminal_size()
    lines = (max(1, -(-len(click.unstyle(line)) // max(1, columns))) for line in text.splitlines())
    return sum(lines) >= rows


def styled(text: str, *, fg: str | None = None, bold: bool | None = None, dim: bool | None = None) -> str:
    """Style text for a terminal: without colour with ``NO_COLOR`` (no-color.org), not at all on a dumb one."""
    if os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, fg=None if os.environ.get("NO_COLOR") else fg, bold=bold, dim=dim)


@contextlib.contextmanager
def warnings_on(output: Output) -> Iterator[None]:
    """Print what the exporter logs as warnings of the command."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            output.warn(record.getMessage())

    logger, handler = logging.getLogger("tfs_deploy.export"), Handler(logging.WARNING)
    logger.addHandler(handler)
    # TensorFlow's packages give the root logger a handler of their own.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
