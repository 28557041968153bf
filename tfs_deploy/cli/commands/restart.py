# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy restart``: replace the running server with a new one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.shared.bring_up import bring_up
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import BRING_UP, all_of, common

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
@all_of(BRING_UP)
@common
def command(output: Output, file: Path, **options: Any) -> None:
    """Replace the running server with a new one.

    Use it to start the server of a deployment FILE afresh, as `up` does when flags have changed. If FILE has
    server.alternate_ports, the old server stops once the new one serves; otherwise it stops shortly before the new one
    starts.
    """
    bring_up(output, file, force_replace=True, **options)
