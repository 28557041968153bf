# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy status``: what a deployment's server serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from rich.console import Console

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.launch.status import Overview
    from tfs_deploy.operations.deployment import Deployment


@click.command(
    name="status",
    cls=Command,
    examples=(
        "tfs-deploy status digits.yaml",
        "tfs-deploy status digits.yaml --json",
    ),
)
@DEPLOYMENT_FILE
@option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Timeout per request, in seconds.",
)
@common
def command(output: Output, file: Path, timeout: float) -> int:
    """Show the server with its models, versions and labels.

    Use it to see whether the server of a deployment FILE serves what the file asks for, and how traffic is split.

    Exit code 1: the server is not running, a version that FILE asks for is not available, a label that FILE or the
    traffic of clients counts on does not lead to its version, or an unfinished rollout waits for a person.
    """
    from tfs_deploy.operations.deployment import Deployment

    deployment = Deployment.load(file, check_disk=False)
    view = deployment.status(timeout=timeout)
    for note in view.notes:
        output.note(note)
    document = _document(deployment, view)
    if view.server is None:
        why = f": {view.why}" if view.why else ""
        how = f"has ended unexpectedly{why}" if view.ended else "is not running"
        see = f"tfs-deploy logs {file} shows its log" if view.ended else f"start it with: tfs-deploy up {file}"
        output.result(document, f"the server of {deployment.name} {how}; {see}")
    else:
        output.result(document, lambda console: _table(console, view))
    for problem in view.problems:
        output.warn(problem)
    return 0 if view.good else 1


def _document(deployment: Deployment, view: Overview) -> dict[str, Any]:
    server = view.server
    return {
        "deployment": deployment.name,
        "running": server is not None,
        "good": view.good,
        "problems": list(view.problems),
        "notes": list(view.notes),
        "server": None if server is None else server.name,
        "pid": None if server is None else server.pid,
        "grpc_address": None if server is None else server.grpc_address,
        "rest_address": None if server is None else server.rest_address,
        "models": [
            {
                "name": model.name,
                "versions": [row.document() for row in view.rows if row.model == model.name],
            }
            for model in deployment.models
        ],
    }


def _table(console: Console, view: Overview) -> None:
    from tfs_deploy.report import Table, terminal_table

    assert view.server is not None
    rest = f", REST http://{view.server.rest_address}" if view.server.rest_address else ""
    console.print(f"{view.server.name}: gRPC {view.server.grpc_address}{rest}", markup=False)
    rows = []
    for row in view.rows:
        remark = row.message or ("" if row.wanted else "not in the file")
        traffic = "" if row.traffic is None else f"{row.traffic:g} %"
        version = "" if row.version is None else str(row.version)
        rows.append((row.model, version, row.state, ", ".join(row.labels), traffic, remark))
    table = Table.of(["model", "version", "state", "labels", "traffic", ""], rows)
    console.print(terminal_table(table, ruled=False))
