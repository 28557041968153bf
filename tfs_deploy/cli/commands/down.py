# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy down``: stop a deployment's server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="down",
    cls=Command,
    examples=(
        "tfs-deploy down digits.yaml",
        "tfs-deploy down digits.yaml --timeout 60",
    ),
)
@DEPLOYMENT_FILE
@option(
    "--timeout",
    type=click.FloatRange(min=0.0),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to wait for the server to stop before it is killed, in seconds.",
)
@common
def command(output: Output, file: Path, timeout: float) -> None:
    """Stop the server.

    Use it to undo `up`: the server of a deployment FILE stops, and its container is removed. An embedded server first
    finishes the requests in flight.
    """
    from tfs_deploy.launch.targets import stranger_notes
    from tfs_deploy.operations.deployment import Deployment

    deployment = Deployment.load(file, check_disk=False)
    server = deployment.down(timeout=timeout)
    if server is None:
        for note in stranger_notes(deployment):
            output.note(note)
    document = {
        "stopped": server is not None,
        "server": None if server is None else server.name,
        "pid": None if server is None else server.pid,
    }
    if server is None:
        output.result(document, f"the server of {deployment.name} was not running")
    else:
        output.result(document, f"stopped {server.name} of {deployment.name}")
