# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy rollback``: move the label stable back to an earlier version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import ANY_SERVER, DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="rollback",
    cls=Command,
    examples=(
        "tfs-deploy rollback digits.yaml",
        "tfs-deploy rollback digits.yaml --to 1 --keep-old",
    ),
)
@DEPLOYMENT_FILE
@option("--model", metavar="NAME", shell_complete=deployed.model, help="Model to move; optional if FILE has only one.")
@option(
    "--to",
    type=int,
    metavar="N",
    shell_complete=deployed.version,
    help="Version to go back to.  [default: the one that was stable before]",
)
@option("--keep-old", is_flag=True, help="Keep the version that is rolled back loaded.")
@ANY_SERVER
@option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to wait for a process at work on the deployment, in seconds.",
)
@common
def command(
    output: Output,
    file: Path,
    *,
    model: str | None,
    to: int | None,
    keep_old: bool,
    any_server: bool,
    timeout: float,
) -> int:
    """Move the label stable back to an earlier version.

    Use it when the version that a rollout promoted turns out to be bad. The earlier version is loaded and must give its
    recorded answers, then the label moves. An unfinished rollout is aborted; an unfinished rollback continues. To go
    back further right after a rollback, use --to.

    Exit code 1: the rollback failed. Exit code 2: there is nothing to go back to.
    """
    from tfs_deploy.cli.shared.rollout_control import abort_rollout, choose_model, run_rollout
    from tfs_deploy.rollout.begin import latest_rollout, unfinished_error

    deployment, name = choose_model(file, model)
    last = latest_rollout(deployment.state_dir, name)
    if last is not None and last.unfinished and not last.plan.back:
        if to not in (None, last.plan.old):
            raise unfinished_error(deployment, last.plan, to)
        return abort_rollout(output, deployment, name, timeout=timeout)
    options = {"keep_old": keep_old, "any_server": any_server, "wait_lock": timeout}
    return run_rollout(output, deployment.rollback(name, to, **options))
