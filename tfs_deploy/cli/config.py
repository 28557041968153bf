"""``tfs-deploy config``: what the server reads, made from a deployment file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.output import Output


@click.command(name="config")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the files into this directory.")
@click.option("--check", "only_check", is_flag=True, help="Only say whether the file is right.")
@click.option("--no-disk", is_flag=True, help="Do not look whether the models are there.")
@common
def command(output: Output, file: Path, out: Path | None, *, only_check: bool, no_disk: bool) -> None:
    """Print models.config for a deployment FILE, or write all that its server reads.

    Every mistake in the file is listed at once, with its line; then nothing is printed or written.
    """
    from tfs_deploy.config import config_files, read_active, server_flags, write_config
    from tfs_deploy.config.active import apply_active
    from tfs_deploy.config.files import MODELS
    from tfs_deploy.spec import load_deployment

    if out is not None and only_check:
        raise click.UsageError("--out and --check exclude each other.")
    deployment = load_deployment(file, check_disk=not no_disk)
    if only_check:
        count = len(deployment.models)
        output.result({"ok": True, "name": deployment.name, "models": count})
        output.note(f"{file} is right: {count} model{'s' if count > 1 else ''}")
        return
    served, notes = apply_active(deployment, read_active(deployment.state_dir))
    for note in notes:
        output.note(note)
    for model, now in zip(deployment.models, served.models, strict=True):
        if model is not now:
            output.note(f"model {model.name!r}: versions and labels as its last rollout left them")
    files = config_files(served)
    flags = server_flags(served, (out or deployment.config_dir).absolute())
    if out is None:
        output.result({"files": files, "flags": flags}, files[MODELS].rstrip("\n"))
        return
    written = write_config(served, out)
    output.result({"files": files, "flags": flags, "written": [str(path) for path in written]})
    for path in written:
        output.note(f"wrote {path}")
    output.note(f"start the server with: {' '.join(flags)}")
