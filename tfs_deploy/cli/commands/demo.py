# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy demo``: a real model from training to a rolled-out second version."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common
from tfs_deploy.cli.shared.output import styled

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.cli.shared.progress import Progress
    from tfs_deploy.report import Table


@click.command(
    name="demo",
    cls=Command,
    examples=(
        "tfs-deploy demo",
        "tfs-deploy demo --dir try-it --bake 1",
    ),
)
@option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("tfs-deploy-demo"),
    show_default=True,
    help="Directory for models, deployment file and report; an earlier demo there is replaced.",
)
@option(
    "--bake",
    type=click.FloatRange(min=0.5),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="Duration of each step of a rollout, in seconds.",
)
@common
def command(output: Output, folder: Path, bake: float) -> None:
    """See it all work on a real model, in about a minute.

    Use it to see what the toolkit does before you write anything. It trains two models on handwritten digits, exports,
    serves and checks them, and rolls out from one to the other under load; a third, deliberately broken version shows
    the automatic rollback. Everything runs on this machine; Ctrl-C stops it and its server at any time.
    """
    from tfs_deploy.demo.page import markdown, next_commands
    from tfs_deploy.demo.story import run_demo
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.extras import require_extra

    for module, extra in (("tensorflow", "demo"), ("uvicorn", "server"), ("httpx", "rest")):
        require_extra(module, extra)
    story = run_demo(folder, _Screen(output), bake=bake)
    commands = next_commands(story, _program(), load_deployment(story.folder.deployment).server.grpc_port)
    story.folder.report.write_text(markdown(story, commands), encoding="utf-8")
    outcome = f"Version {story.stable} serves as stable, version 3 was refused."
    lines = [
        f"\n{styled(outcome, fg='green', bold=True)} It took {story.seconds:.0f} s.",
        f"Report: {story.folder.report}",
        f"\n{styled('Try next', fg='cyan', bold=True)}",
        *(f"  {styled(text, bold=True)}\n      {what}" for text, what in commands),
    ]
    output.result({**story.as_dict(), "next": [text for text, _ in commands]}, "\n".join(lines))


def _program() -> str:
    """Return how to call this program: by name if the shell finds it, else by its path."""
    called = Path(sys.argv[0]).absolute()
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m tfs_deploy"
    found = shutil.which(called.name)
    if found is not None and Path(found).absolute() == called:
        return called.name
    with contextlib.suppress(ValueError):
        return shlex.quote(str(called.relative_to(Path.cwd())))
    return shlex.quote(str(called))


class _Screen:
    """Tells the story on the terminal: tables are data and go to stdout, except with --json."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._after_blank_line = False

    def heading(self, title: str, text: str) -> None:
        gap = "" if self._after_blank_line else "\n"
        self._output.heading(f"{gap}{title}")
        self.note(text)

    def note(self, text: str) -> None:
        # A terminal would break the line within a word; any other reader expects one line.
        if sys.stderr.isatty():
            text = textwrap.fill(text, shutil.get_terminal_size().columns - 1, break_on_hyphens=False)
        self._output.note(text)
        self._after_blank_line = False

    def table(self, table: Table) -> None:
        from tfs_deploy.report import terminal_table

        if not self._output.quiet:
            self._output.console(stderr=self._output.as_json).print(terminal_table(table))
            self._after_blank_line = True

    def progress(self, text: str, total: float | None = None) -> AbstractContextManager[Progress]:
        return self._output.progress(text, total)
