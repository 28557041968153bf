# SPDX-License-Identifier: Apache-2.0
"""Every command of ``tfs-deploy``, by the words that call it."""

from __future__ import annotations

from collections.abc import Iterator

import click

from tfs_deploy.cli.commands.config import import_command
from tfs_deploy.cli.main import group
from tfs_deploy.cli.shared.help import Command, Group


def commands_below(parent: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Command]]:
    """Yield every command and every group below ``parent``."""
    context = click.Context(parent)
    for name in parent.list_commands(context):
        command = parent.get_command(context, name)
        assert isinstance(command, Command), name
        yield " ".join((*path, name)), command
        if isinstance(command, Group):
            yield from commands_below(command, (*path, name))


EVERY_COMMAND = {**dict(commands_below(group)), "config import": import_command}
