# SPDX-License-Identifier: Apache-2.0
"""Variables that look like those of options and set nothing, as a mistyped one does."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line.option import PREFIX, Option
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def without_effect(names: Iterable[str], commands: Iterable[str]) -> list[tuple[str, str | None]]:
    """Return the names that begin as a variable of one of the commands and are none, each with the closest that is.

    Only the modules of commands that a name begins with are imported. Other variables of the prefix, such as those
    that gates and hooks are given, begin with no command.
    """
    found = []
    starts = {f"{PREFIX}_{command.upper()}_": command for command in commands}
    for name in sorted(names):
        start = next((start for start in starts if name.startswith(start)), None)
        if start is None:
            continue
        rest = {known.removeprefix(start): known for known in variables_of(starts[start])}
        if name.removeprefix(start) not in rest:
            near = closest(name.removeprefix(start), rest)
            found.append((name, None if near is None else rest[near]))
    return found


def variables_of(command: str) -> Iterator[str]:
    """Yield the variables of all options of a command, and of the commands below it."""
    module = importlib.import_module(f"tfs_deploy.cli.commands.{command}")
    root = click.Context(click.Group(), info_name="tfs-deploy")
    yield from _variables(module.command, click.Context(module.command, parent=root, info_name=command))
    if command == "config":
        below = module.import_command
        yield from _variables(below, click.Context(below, parent=root, info_name="config import"))


def _variables(command: click.Command, context: click.Context) -> Iterator[str]:
    for each in command.params:
        if isinstance(each, Option):
            yield each.variable(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _variables(below, click.Context(below, parent=context, info_name=name))
