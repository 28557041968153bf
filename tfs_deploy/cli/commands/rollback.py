"""``tfs-deploy rollback``: move the label stable back to an earlier version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(name="rollback")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", help="The model; may be left out where there is only one.")
@click.option("--to", type=int, help="The version to go back to.  [default: the one that was stable before]")
@click.option("--keep-old", is_flag=True, help="Leave the version that is left behind loaded.")
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait.")
@common
def command(output: Output, file: Path, *, model: str | None, to: int | None, keep_old: bool, timeout: float) -> int:
    """Move stable back to an earlier version: load it, ask it for its recorded answers, switch.

    A rollout that is unfinished is sent back to the version it came from; a rollback that is unfinished goes on.
    Right after a way back there is nothing to do but to go back further, and that takes --to.
    """
    from tfs_deploy.cli.shared.rollout_runs import carry_through, choose, send_back
    from tfs_deploy.rollout import Rollout
    from tfs_deploy.rollout.begin import latest_rollout

    deployment, name = choose(file, model)
    last = latest_rollout(deployment.state_dir, name)
    if last is not None and last.unfinished and not last.plan.back and to in (None, last.plan.old):
        return send_back(output, deployment, name, timeout=timeout)
    return carry_through(output, Rollout.back(deployment, name, to, keep_old=keep_old, wait_lock=timeout))
