# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy config``: what the server reads, made from a deployment file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import DEPLOYMENT_FILES, paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import base_paths, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output

_FILE = click.Path(dir_okay=False, path_type=Path)


class ConfigCommand(Command):
    """``config FILE``, and ``config import``: the word ``import`` is the other command, never a file."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Make the context of ``import_command`` if its name comes first."""
        if args[:1] == ["import"]:
            return import_command.make_context(f"{info_name} import", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


def _print_schema(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's
    if not asked:
        return
    import json

    from tfs_deploy.deployment.file.editor import SCHEMA_FILE

    output: Output = context.obj
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    output.result(json.loads(text), text.rstrip("\n"))
    context.exit()


@click.command(
    name="config",
    cls=ConfigCommand,
    examples=(
        "tfs-deploy config digits.yaml",
        "tfs-deploy config digits.yaml --check --strict",
        "tfs-deploy config digits.yaml --out served",
    ),
)
@click.argument("file", type=click.Path(path_type=Path), shell_complete=paths(*DEPLOYMENT_FILES, words=("import",)))
@option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write the files into this directory.")
@option("--check", "only_check", is_flag=True, help="Only check the file; neither print nor write a config.")
@option("--strict", is_flag=True, help="With --check: exit with 1 if there are warnings.")
@option("--no-disk", is_flag=True, help="Skip the checks of paths on disk.")
@option("--allow-latest", is_flag=True, help="Allow mutable image tags.")
@option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON Schema of deployment files, for editors, and exit.",
)
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
    """Write the files that the server reads.

    Use it to check a deployment FILE, to see the models.config that it produces, or, with --out, to write every file
    for a server that another tool starts. If FILE has mistakes, they are all listed with their lines, and nothing is
    printed or written. `tfs-deploy config import` turns a models.config into a deployment file.

    Exit code 1: with --strict, there are warnings. Exit code 2: FILE has mistakes.
    """
    from tfs_deploy.config import config_files, server_flags, write_config
    from tfs_deploy.config.files import MODELS
    from tfs_deploy.deployment.active import apply_active
    from tfs_deploy.deployment.file import load_with_advice
    from tfs_deploy.launch.planning.trust import require_all_trusted
    from tfs_deploy.state.active import in_force, read_active
    from tfs_deploy.text import counted

    if out is not None and only_check:
        raise click.UsageError("--out and --check exclude each other.")
    if strict and not only_check:
        raise click.UsageError("--strict needs --check.")
    judged = {} if only_check else {"in_force": in_force}  # a check is of the file alone
    deployment, advice = load_with_advice(file, check_disk=not no_disk, allow_latest=allow_latest, **judged)
    for problem in advice:
        output.note(f"warning: {problem}")
    if not no_disk and deployment.trust:
        from tfs_deploy.store.signing.trust import open_trust

        open_trust(deployment.trust)
    if only_check:
        count = len(deployment.models)
        good = not (strict and advice)
        warnings = [str(problem) for problem in advice]
        output.result({"ok": good, "name": deployment.name, "models": count, "warnings": warnings})
        output.note(f"{file} is {'valid' if good else 'not valid with --strict'}: {counted(count, 'model')}")
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
        output.result({"files": files, "flags": flags}, files[MODELS].rstrip("\n"), to_read=True)
        return 0
    require_all_trusted(served)
    written = write_config(served, out)
    output.result({"files": files, "flags": flags, "written": [str(path) for path in written]})
    for path in written:
        output.note(f"wrote {path}")
    output.note(f"start the server with: {' '.join(flags)}")
    return 0


@click.command(
    name="import",
    cls=Command,
    examples=(
        "tfs-deploy config import models.config",
        "tfs-deploy config import models.config --name digits --out imported.yaml",
        "tfs-deploy config import models.config --base-path-map /models=/srv/models",
    ),
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@option("--name", metavar="NAME", default="imported", show_default=True, help="Name of the deployment.")
@option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the deployment file to this path.")
@option(
    "--base-path-map",
    metavar="OLD=NEW",
    multiple=True,
    help="Write NEW for the beginning OLD of base paths, such as /models=/srv/models for a container's.",
)
@option("--batching", type=_FILE, help="The --batching_parameters_file of the server.")
@option("--monitoring", type=_FILE, help="The --monitoring_config_file of the server.")
@option(
    "--ssl", type=_FILE, help="The --ssl_config_file of the server; its key and certificates are written beside --out."
)
@common
def import_command(
    output: Output,
    file: Path,
    name: str,
    out: Path | None,
    base_path_map: tuple[str, ...],
    batching: Path | None,
    monitoring: Path | None,
    ssl: Path | None,
) -> None:
    """Turn a models.config into a deployment file.

    Use it to take over a server that was configured by hand. FILE is its models.config, - for standard input; whatever
    the server would refuse in it is listed, each with its line.
    """
    from tfs_deploy.atomic import write_files
    from tfs_deploy.config.importer import deployment_document, with_near_paths
    from tfs_deploy.config.ssl import ssl_section
    from tfs_deploy.deployment.file import write_yaml
    from tfs_deploy.deployment.file.editor import schema_comment
    from tfs_deploy.deployment.file.variables import escaped
    from tfs_deploy.errors import UsageError

    if ssl is not None and out is None:
        raise UsageError("--ssl needs --out", hint="its key and certificates are written beside the deployment file")
    section, pems = (None, {}) if ssl is None or out is None else ssl_section(_text_of(ssl), str(ssl), out.stem)
    document = deployment_document(
        _text_of(file),
        name=name,
        source="stdin" if str(file) == "-" else str(file),
        base_paths=base_paths(base_path_map),
        batching=None if batching is None else (_text_of(batching), str(batching)),
        monitoring=None if monitoring is None else (_text_of(monitoring), str(monitoring)),
        ssl=section,
    )
    if out is not None:
        document = with_near_paths(document, out.parent)
    rendered = schema_comment(None if out is None else out.parent) + write_yaml(escaped(document))
    if out is None:
        output.result({"deployment": document, "text": rendered}, rendered.rstrip("\n"), to_read=True)
        return
    for path in (out, *(out.with_name(pem) for pem in pems)):
        if path.exists():
            raise UsageError(f"{path} exists", hint="name another file, or remove it")
    private = dict.fromkeys((pem for pem in pems if pem.endswith(".key.pem")), 0o600)
    write_files(out.parent, {**pems, out.name: rendered}, modes=private)
    output.result({"deployment": document, "written": str(out)})
    output.note(f"wrote {out}; check it with: tfs-deploy config {out} --check")


def _text_of(file: Path) -> str:
    import sys

    from tfs_deploy.errors import UsageError

    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"{file} cannot be read: {reason}", hint="give the path of a models.config") from error
