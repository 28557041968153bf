# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy doctor``: what keeps this machine from serving."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tfs_deploy.cli.line.words import deployment_file
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common
from tfs_deploy.errors import VerdictError

if TYPE_CHECKING:
    from rich.console import Console

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.doctor import Diagnosis

_COLORS: Final = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
#: columns below which a table would leave no room for sentences: then each finding is a line of its own
_NARROW: Final = 80
_WORST_FIRST: Final = ("problem", "warning", "skipped")


@click.command(
    name="doctor",
    cls=Command,
    examples=(
        "tfs-deploy doctor",
        "tfs-deploy doctor digits.yaml",
    ),
)
@click.argument("file", type=click.Path(path_type=Path), required=False, shell_complete=deployment_file)
@common
def command(output: Output, file: Path | None) -> int:
    """Find what keeps this machine from serving.

    Use it on a new machine, or when `up` fails. It checks Python, packages, Docker, GPUs, ports, disks, limits and
    clocks, and says what to do about each problem; with a deployment FILE it checks what that file needs: target,
    image, ports and directories. Nothing is changed, and nothing leaves the machine.

    Exit code 1: there is a problem. Warnings and skipped checks do not count.
    """
    from tfs_deploy.cli.line.variables import without_effect
    from tfs_deploy.cli.main import COMMANDS
    from tfs_deploy.doctor import gather, judge

    deployment = None
    if file is not None:
        from tfs_deploy.deployment.file import load_deployment

        deployment = load_deployment(file)
    facts = gather(deployment)
    diagnosis = judge(replace(facts, idle_variables=tuple(without_effect(os.environ, COMMANDS))))
    output.result(diagnosis.as_dict(), lambda console: _show(console, diagnosis))
    problems = diagnosis.problems
    if not problems:
        return 0
    if output.as_json:
        return VerdictError.exit_code
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise VerdictError(f"{count}; first: {problems[0].id}: {problems[0].detail}", hint=problems[0].hint)


def _show(console: Console, diagnosis: Diagnosis) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("check", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("found", overflow="fold")
    narrow = console.width < _NARROW
    for found in diagnosis.findings:
        level = Text(found.level.value, _COLORS[found.level.value])
        table.add_row(found.id, level, Text(found.detail))
        if narrow:
            console.print(Text.assemble(level, f" {found.id}: {found.detail}"))
    if not narrow:
        console.print(table)
    hints = [
        (found, found.hint)
        for level in _WORST_FIRST
        for found in diagnosis.findings
        if found.level.value == level and found.hint is not None
    ]
    for found, hint in hints:
        console.print(Text.assemble((f"{found.level.value} ", _COLORS[found.level.value]), f"{found.id}: {hint}"))
