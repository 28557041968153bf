"""``tfs-deploy up``: start a deployment's server, or bring a running one to its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.shared.bring_up import bring
from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(name="up")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--timeout", type=click.FloatRange(min=1.0), default=120.0, show_default=True, help="Seconds to wait.")
@click.option("--allow-latest", is_flag=True, help="Take an image that may be another one tomorrow.")
@click.option("--ignore-memory", is_flag=True, help="Start although the models may not fit into memory.")
@common
def command(output: Output, file: Path, **options: Any) -> None:
    """Start the server of a deployment FILE and wait until every version of its models serves.

    A server that runs already is brought to the file without failing a request: new versions are loaded first, then
    labels are moved, then what the file no longer names is unloaded. Where something changed that a server reads only
    at its start, another one is started, checked and put in its place; the old one stays if that fails.
    """
    bring(output, file, force_replace=False, **options)
