"""``tfs-deploy config``: what the server reads, made from a deployment file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.shared.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


class ConfigCommand(click.Command):
    """``config FILE``, and ``config import``: a word that is no file of that name is the other command."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Hand a line over to ``import_command`` if it is meant."""
        if args[:1] == ["import"]:
            return import_command.make_context(f"{info_name} import", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(name="config", cls=ConfigCommand)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the files into this directory.")
@click.option("--check", "only_check", is_flag=True, help="Only say whether the file is right.")
@click.option("--strict", is_flag=True, help="With --check: warnings count, and lead to exit code 1.")
@click.option("--no-disk", is_flag=True, help="Do not look whether the models are there.")
@click.option("--allow-latest", is_flag=True, help="Take an image that may be another one tomorrow.")
@common
def command(
    output: Output,
    file: Path,
    out: Path | None,
    *,
    only_check: bool,
    strict: bool,
    no_disk: bool,
    allow_latest: bool,
) -> int:
    """Print models.config for a deployment FILE, or write all that its server reads.

    Every mistake in the file is listed at once, with its line; then nothing is printed or written.

    `tfs-deploy config import models.config` goes the other way.
    """
    from tfs_deploy.config import config_files, server_flags, write_config
    from tfs_deploy.config.files import MODELS
    from tfs_deploy.deployment.active import apply_active
    from tfs_deploy.deployment.file import load_with_advice
    from tfs_deploy.state.active import read_active

    if out is not None and only_check:
        raise click.UsageError("--out and --check exclude each other.")
    if strict and not only_check:
        raise click.UsageError("--strict goes with --check.")
    deployment, advice = load_with_advice(file, check_disk=not no_disk, allow_latest=allow_latest)
    for problem in advice:
        output.note(f"warning: {problem}")
    if only_check:
        count = len(deployment.models)
        good = not (strict and advice)
        warnings = [str(problem) for problem in advice]
        output.result({"ok": good, "name": deployment.name, "models": count, "warnings": warnings})
        output.note(
            f"{file} is {'right' if good else 'not right by --strict'}: {count} model{'s' if count > 1 else ''}"
        )
        return 0 if good else 1
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
        return 0
    written = write_config(served, out)
    output.result({"files": files, "flags": flags, "written": [str(path) for path in written]})
    for path in written:
        output.note(f"wrote {path}")
    output.note(f"start the server with: {' '.join(flags)}")
    return 0


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="imported", show_default=True, help="The name of the deployment.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the deployment file here.")
@common
def import_command(output: Output, file: Path, name: str, out: Path | None) -> None:
    """Turn an existing models.config FILE into a deployment file; what the server would refuse is listed by line."""
    from tfs_deploy.atomic import write_atomic
    from tfs_deploy.config.importer import deployment_document
    from tfs_deploy.errors import UsageError
    from tfs_deploy.extras import import_extra

    yaml = import_extra("yaml", "cli")
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{file} cannot be read: {reason}", hint="give the path of a models.config") from error
    document = deployment_document(text, name=name, source=str(file))
    rendered = str(yaml.safe_dump(document, sort_keys=False))
    if out is None:
        output.result({"deployment": document, "text": rendered}, rendered.rstrip("\n"))
        return
    if out.exists():
        raise UsageError(f"{out} exists", hint="name another file, or remove it")
    write_atomic(out, rendered)
    output.result({"deployment": document, "written": str(out)})
    output.note(f"wrote {out}; check it with: tfs-deploy config {out} --check")
