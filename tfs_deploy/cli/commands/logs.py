# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy logs``: the log of a deployment's server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common

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
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    metavar="N",
    help="Number of lines to show, from the end of the log.",
)
@click.option("-f", "--follow", "following", is_flag=True, help="Keep printing new lines until Ctrl-C.")
@common
def command(output: Output, file: Path, lines: int, *, following: bool) -> None:
    """Show the server's log.

    Use it when the server of a deployment FILE does not start, has ended, or refuses a model.
    """
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.errors import UsageError
    from tfs_deploy.launch.targets import target_of

    if following and output.as_json:
        raise click.UsageError("--follow and --json exclude each other.")
    deployment = load_deployment(file)
    host = target_of(deployment)
    last = host.log(lines)
    server = host.current() if following else None
    if last is None:
        raise UsageError(f"{deployment.name} has no server log yet", hint=f"tfs-deploy up {file}")
    output.result({"lines": last}, "\n".join(last) if last else None)
    if server is not None:
        for text in server.follow():
            output.result({}, text)
