# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy up``: start a deployment's server, or bring a running one in line with its file."""

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
    name="up",
    cls=Command,
    examples=(
        "tfs-deploy up digits.yaml",
        "tfs-deploy up digits.yaml --timeout 300",
    ),
)
@all_of(BRING_UP)
@common
def command(output: Output, file: Path, **options: Any) -> None:
    """Start the server, or bring a running one in line with its file.

    Use it to serve a deployment FILE, and again after each change of the file; it returns once every version is
    available. No request to a running server fails: new versions are loaded first, then labels move, then versions that
    FILE no longer names are unloaded. A change to a setting that a server reads only at startup needs a new server: it
    is started, checked and swapped for the old one, which stays if that fails.
    """
    bring_up(output, file, force_replace=False, **options)
