# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy run``: one signature of a SavedModel, by hand and without a server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import directory, paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common, op_libraries_option, parse_tags

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output


@click.command(
    name="run",
    cls=Command,
    examples=(
        "tfs-deploy run models/digits -i image=@digit.npy",
        "tfs-deploy run models/digits --version 1 -i image=@digit.npy -o digit.npz",
    ),
)
@click.argument("path", type=click.Path(path_type=Path), shell_complete=directory)
@option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Input: JSON or text, @FILE.npy, @FILE.json, or the bytes of any other @FILE; @FILE.npz holds all inputs. "
    "@FILE alone is the only input.",
)
@option("--signature", "-s", metavar="NAME", help="Signature to run.  [default: serving_default, or the only one]")
@option(
    "--version",
    type=int,
    metavar="N",
    shell_complete=deployed.version_beside,
    help="Version under a base path.  [default: the newest]",
)
@option("--tags", metavar="TAGS", default="serve", show_default=True, help="Tags of the meta graph to load: A,B.")
@option(
    "--output",
    "-o",
    "form",
    default="table",
    metavar="FORM",
    shell_complete=paths(".npz", words=("table", "json")),
    help="Output format: table, json or the path of an .npz file.",
)
@op_libraries_option
@common
def command(
    output: Output,
    path: Path,
    *,
    inputs: tuple[str, ...],
    signature: str | None,
    version: int | None,
    tags: str,
    form: str,
) -> None:
    """Run one signature of a SavedModel, without a server.

    Use it to try a model by hand right after an export; it needs TensorFlow. PATH is a version directory, or a base
    path (its newest version).
    """
    from tfs_deploy.cli.shared.input_values import read_inputs
    from tfs_deploy.cli.shared.output_values import archive_path, outputs_document, outputs_lines, write_archive
    from tfs_deploy.runtime import load_model
    from tfs_deploy.runtime.local_model import choose_signature

    archive = archive_path(form)
    with load_model(path, version, tags=parse_tags(tags)) as model:
        info = choose_signature(model.signatures, signature)
        values = read_inputs(inputs, info.inputs)
        started = time.perf_counter()
        outputs = model.predict(values, info.name)
        seconds = time.perf_counter() - started
        document: dict[str, Any] = {
            "path": str(model.path),
            "version": model.version,
            "signature": info.name,
            "milliseconds": round(seconds * 1000, 3),
            "outputs": outputs_document(outputs),
        }
    if archive is not None:
        write_archive(archive, outputs)
        document["file"] = str(archive)
    output.as_json = output.as_json or form == "json"
    lines = [f"{document['path']}, {info.name} ({document['milliseconds']:.1f} ms)", *outputs_lines(outputs)]
    if archive is not None:
        lines.append(f"\nwritten to {archive}")
    output.result(document, "\n".join(lines))
