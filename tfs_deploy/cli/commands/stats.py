# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy stats``: the CPU, memory and network use of a deployment's server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="stats",
    cls=Command,
    examples=(
        "tfs-deploy stats digits.yaml",
        "tfs-deploy stats digits.yaml --json",
    ),
)
@DEPLOYMENT_FILE
@common
def command(output: Output, file: Path) -> int:
    """Show the CPU, memory and network use of the server.

    Use it to see how much of its machine the server of a deployment FILE is using right now.

    Exit code 1: the server is not running.
    """
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.launch.targets import find_server
    from tfs_deploy.text import size_text

    deployment = load_deployment(file)
    server = find_server(deployment)
    if server is None:
        output.result({"running": False}, f"the server of {deployment.name} is not running")
        return 1
    usage = server.usage()
    limit = f" of {size_text(usage.limit)}" if usage.limit else ""
    lines = [
        server.name,
        f"  CPU        {usage.cpu:.2f} cores",
        f"  memory     {size_text(usage.memory)}{limit}",
        f"  threads    {usage.threads}",
    ]
    if usage.received is not None and usage.sent is not None:
        lines.append(f"  network    {size_text(usage.received)} received, {size_text(usage.sent)} sent")
    output.result({"running": True, "server": server.name, **usage.document()}, "\n".join(lines))
    return 0
