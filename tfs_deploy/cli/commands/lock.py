# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy lock``: who works on a deployment, and taking the lock away from a process that hangs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.shared.help import Group
from tfs_deploy.cli.shared.options import COMMON, DEPLOYMENT_FILE, all_of, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.group(
    name="lock",
    cls=Group,
    examples=("tfs-deploy lock status digits.yaml", "tfs-deploy lock release digits.yaml"),
)
@all_of(COMMON)
def command() -> None:
    """Show who is at work on a deployment, or release its lock.

    Use it when another command says that the deployment is locked.
    """


@command.command(examples=("tfs-deploy lock status digits.yaml", "tfs-deploy lock status digits.yaml --json"))
@DEPLOYMENT_FILE
@common
def status(output: Output, file: Path) -> None:
    """Show who holds the lock.

    Use it to see which user, machine and process is at work on a deployment FILE, since when, and why.
    """
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.state.lock import describe_holder, holder

    about = holder(load_deployment(file).state_dir)
    output.result({"lock": about}, "not locked" if about is None else f"locked by {describe_holder(about)}")


@command.command(examples=("tfs-deploy lock release digits.yaml", "tfs-deploy lock release digits.yaml --json"))
@DEPLOYMENT_FILE
@common
def release(output: Output, file: Path) -> None:
    """Take the lock away from its holder.

    Use it when the process that holds the lock of a deployment FILE hangs, or its machine is gone; a process that ends
    releases its lock on its own. A holder that is still alive stops before its next action.
    """
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.state.lock import describe_holder
    from tfs_deploy.state.lock import release as take_away

    about = take_away(load_deployment(file).state_dir)
    output.result({"released": about}, f"released; it was held by {describe_holder(about)}")
