"""``tfs-deploy lock``: who is at work on a deployment, and taking the lock away from one who hangs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output

_FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group(name="lock")
def command() -> None:
    """Show who is at work on a deployment, or release its lock."""


@command.command()
@_FILE
@common
def status(output: Output, file: Path) -> None:
    """Show who holds the lock of a deployment FILE: user, machine, process, since when, for what."""
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.state.lock import describe_holder, holder

    about = holder(load_deployment(file).state_dir)
    output.result({"lock": about}, "not locked" if about is None else f"locked by {describe_holder(about)}")


@command.command()
@_FILE
@common
def release(output: Output, file: Path) -> None:
    """Take the lock away from its holder.

    A process that ends in whatever way frees the lock by itself; this is for one that hangs, or whose machine is gone.
    One that is alive after all stops before its next action.
    """
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.state.lock import describe_holder
    from tfs_deploy.state.lock import release as take_away

    about = take_away(load_deployment(file).state_dir)
    output.result({"released": about}, f"released; it was held by {describe_holder(about)}")
