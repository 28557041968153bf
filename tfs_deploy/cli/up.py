"""``tfs-deploy up``: start a deployment's server, or bring a running one to its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.options import common

if TYPE_CHECKING:
    from tfs_deploy.cli.output import Output
    from tfs_deploy.launch.lifecycle import UpResult


@click.command(name="up")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--timeout", type=click.FloatRange(min=1.0), default=120.0, show_default=True, help="Seconds to wait.")
@common
def command(output: Output, file: Path, timeout: float) -> None:
    """Start the server of a deployment FILE and wait until every version of its models serves.

    A server that runs already is brought to the file without failing a request: new versions are loaded first, then
    labels are moved, then what the file no longer names is unloaded.
    """
    from tfs_deploy.launch.lifecycle import up
    from tfs_deploy.rollout.lock import lock
    from tfs_deploy.spec import load_deployment

    deployment = load_deployment(file, check_disk=True)
    with lock(deployment.state_dir, "up"), output.progress(f"bringing up {deployment.name}"):
        result = up(deployment, timeout=timeout)
    for note in result.notes:
        output.note(note)
    output.result(_document(result), _text(result))


def _document(result: UpResult) -> dict[str, object]:
    server = result.server
    return {
        "started": result.started,
        "pid": server.pid,
        "grpc_address": server.grpc_address,
        "rest_address": server.rest_address,
        "log": str(server.log_path),
        "changes": list(result.changes),
        "notes": list(result.notes),
    }


def _text(result: UpResult) -> str:
    server = result.server
    rest = f", REST http://{server.rest_address}" if server.rest_address else ""
    where = f"gRPC {server.grpc_address}{rest}"
    if result.started:
        head = f"started server {server.pid}: {where}"
    else:
        head = f"server {server.pid} runs{' and was changed' if result.changes else ', nothing to change'}: {where}"
    return "\n".join([head, *(f"  {change}" for change in result.changes)])
