# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy logs``: the log of a deployment's server."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="logs",
    cls=Command,
    examples=(
        "tfs-deploy logs digits.yaml",
        "tfs-deploy logs digits.yaml --lines 200",
    ),
)
@DEPLOYMENT_FILE
@option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    metavar="N",
    help="Number of lines to show, from the end of the log.",
)
@option("-f", "--follow", "following", is_flag=True, help="Keep printing new lines until Ctrl-C.")
@common
def command(output: Output, file: Path, lines: int, *, following: bool) -> None:
    """Show the server's log.

    Use it when the server of a deployment FILE does not start, has ended, or refuses a model. With --follow, --json
    prints one document per line.
    """
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.errors import UsageError
    from tfs_deploy.launch.targets import target_of

    deployment = load_deployment(file)
    host = target_of(deployment)
    last = host.log(lines)
    server = host.current() if following else None
    if last is None:
        raise UsageError(f"{deployment.name} has no server log yet", hint=f"tfs-deploy up {file}")
    if not following:
        output.result({"lines": last}, "\n".join(last) if last else None)
        return
    for text in itertools.chain(last, () if server is None else server.follow()):
        for line in text.split("\n"):
            output.line({"line": line}, line)
