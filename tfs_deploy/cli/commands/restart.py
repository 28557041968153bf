"""``tfs-deploy restart``: another server in the place of the one that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.shared.bring_up import bring
from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(name="restart")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--timeout", type=click.FloatRange(min=1.0), default=120.0, show_default=True, help="Seconds to wait.")
@click.option("--allow-latest", is_flag=True, help="Take an image that may be another one tomorrow.")
@click.option("--ignore-memory", is_flag=True, help="Start although the models may not fit into memory.")
@common
def command(output: Output, file: Path, **options: Any) -> None:
    """Put a new server in the place of the one that runs, as `up` does when flags change; without a gap where the
    FILE names a second pair of ports.
    """
    bring(output, file, force_replace=True, **options)
