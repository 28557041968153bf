"""``tfs-deploy restart``: replace the running server with a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.shared.bring_up import bring_up
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="restart",
    cls=Command,
    examples=(
        "tfs-deploy restart digits.yaml",
        "tfs-deploy restart digits.yaml --timeout 300",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--timeout",
    type=click.FloatRange(min=1.0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to wait for every version to become available, in seconds.",
)
@click.option("--allow-latest", is_flag=True, help="Allow mutable image tags.")
@click.option("--ignore-memory", is_flag=True, help="Start even if the models may not fit into memory.")
@common
def command(output: Output, file: Path, **options: Any) -> None:
    """Replace the running server with a new one.

    Use it to start the server of a deployment FILE afresh, as `up` does when flags have changed. If FILE has
    server.alternate_ports, the old server stops once the new one serves; otherwise it stops shortly before the new one
    starts.
    """
    bring_up(output, file, force_replace=True, **options)
