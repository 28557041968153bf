# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy completion``: let a shell complete commands, options and what they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="completion",
    cls=Command,
    examples=(
        "tfs-deploy completion bash --install",
        "tfs-deploy completion zsh --uninstall",
        "tfs-deploy completion fish",
    ),
)
@click.argument("shell", metavar="{bash|zsh|fish}", type=click.Choice(["bash", "zsh", "fish"]))
@option("--install", "installing", is_flag=True, help="Write the script to where the shell loads it from.")
@option("--uninstall", "removing", is_flag=True, help="Undo --install.")
@common
def command(output: Output, shell: str, *, installing: bool, removing: bool) -> None:
    """Let a shell complete what you type.

    Use it once: after --install, new shells complete commands, options, deployment files and what is in them (models,
    versions, labels) with TAB. Without an option the script is printed, to `source` or to put where you like.
    """
    from tfs_deploy.cli.line.install import find_place, install, uninstall
    from tfs_deploy.cli.line.shells import script

    if installing and removing:
        raise click.UsageError("--install and --uninstall exclude each other.")
    if not installing and not removing:
        text = script(shell)
        output.result({"shell": shell, "script": text}, text.rstrip("\n"))
        return
    place = find_place(shell)
    done = install(shell, place) if installing else uninstall(place)
    document = {"shell": shell, "script_path": str(place.script), "changes": done}
    otherwise = "nothing to do: it is installed" if installing else "nothing to do: it is not installed"
    output.result(document, "\n".join(done) or otherwise)
    if done and installing:
        output.note("it works in new shells")
