# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy render``: a deployment as a compose project or a Dockerfile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="render",
    cls=Command,
    examples=(
        "tfs-deploy render compose digits.yaml",
        "tfs-deploy render dockerfile digits.yaml --out image",
    ),
)
@click.argument("kind", type=click.Choice(["compose", "dockerfile"]))
@DEPLOYMENT_FILE
@option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write it and every file that it needs into this directory.",
)
@option("--allow-latest", is_flag=True, help="Allow mutable image tags.")
@common
def command(output: Output, kind: str, file: Path, out: Path | None, *, allow_latest: bool) -> None:
    """Write a Compose project or a Dockerfile.

    Use it where another tool runs the server. The target of the deployment FILE must be docker. compose: a compose.yaml
    with a health check, and with Prometheus if the server is monitored. dockerfile: an image that holds models and
    config. Versions and labels are the ones served now.
    """
    from tfs_deploy.deployment.active import apply_active
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.launch.planning.trust import require_all_trusted
    from tfs_deploy.launch.render.build_context import served_versions, write_build, write_compose
    from tfs_deploy.launch.render.compose import compose_file, dockerfile
    from tfs_deploy.state.active import read_active

    deployment = load_deployment(file, check_disk=True, allow_latest=allow_latest)
    served, _ = apply_active(deployment, read_active(deployment.state_dir))
    require_all_trusted(served)
    if out is None:
        compose = kind == "compose"
        text = compose_file(served, "./config") if compose else dockerfile(served, served_versions(served))
        output.result({"text": text}, text.rstrip("\n"), to_read=True)
        return
    written = write_compose(served, out) if kind == "compose" else write_build(served, out)
    output.result({"written": [str(path) for path in written]})
    for path in written:
        output.note(f"wrote {path}")
