# SPDX-License-Identifier: Apache-2.0
"""What ``up`` and ``restart`` share: the lock, the progress, and what is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.cli.shared.progress import Progress
    from tfs_deploy.launch.up import UpResult


def bring_up(
    output: Output, file: Path, *, force_replace: bool, timeout: float, allow_latest: bool, ignore_memory: bool
) -> None:
    """Bring a deployment up and print what was done; ``force_replace`` replaces a server that needs no change."""
    from tfs_deploy.operations.deployment import Deployment

    deployment = Deployment.load(
        file, allow_latest=allow_latest, on_advice=lambda problem: output.note(f"warning: {problem}")
    )
    bring = deployment.restart if force_replace else deployment.up
    with output.progress(f"bringing up {deployment.name}") as progress:
        result = bring(timeout=timeout, check_memory=not ignore_memory, on_pull=PullProgress(progress))
    for note in result.notes:
        output.note(note)
    output.result(_document(result), _text(result))


class PullProgress:
    """Shows how much of an image has been pulled."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it."""
        share = f" {done / total:.0%} of {total / 1e6:.0f} MB" if total else ""
        self._progress.say(f"{what}{share}")
        self._progress.advance(0)


def _document(result: UpResult) -> dict[str, Any]:
    server = result.server
    return {
        "started": result.started,
        "server": server.name,
        "pid": server.pid,
        "grpc_address": server.grpc_address,
        "rest_address": server.rest_address,
        "changes": list(result.changes),
        "steps": list(result.steps),
        "notes": list(result.notes),
        "gap_seconds": None if result.gap is None else round(result.gap, 3),
    }


def _text(result: UpResult) -> str:
    server = result.server
    rest = f", REST http://{server.rest_address}" if server.rest_address else ""
    where = f"gRPC {server.grpc_address}{rest}"
    if result.started:
        head = f"started {server.name}: {where}"
    elif result.gap is not None:
        downtime = (
            f"{result.gap:.2f} s downtime" if result.gap else "no downtime for clients that follow the endpoint file"
        )
        head = f"{server.name} replaced the previous server ({downtime}): {where}"
    else:
        head = f"{server.name} is running, {'changed' if result.steps else 'nothing to change'}: {where}"
    return "\n".join([head, *(f"  {change}" for change in result.changes)])
