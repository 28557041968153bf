# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy plan``: what ``up`` would change, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import DEPLOYMENT_FILE, common

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.launch.planning.plan import ServerPlan

_HEADS = {
    "none": "nothing to do",
    "start": "start a server",
    "update": "change the running server, without a failed request",
    "replace": "replace the running server with a new one",
}


@click.command(
    name="plan",
    cls=Command,
    examples=(
        "tfs-deploy plan digits.yaml",
        "tfs-deploy plan digits.yaml --detailed-exitcode",
    ),
)
@DEPLOYMENT_FILE
@option(
    "--against",
    metavar="HOST:PORT",
    shell_complete=deployed.address,
    help="Compare with the server at this gRPC address.",
)
@option("--detailed-exitcode", is_flag=True, help="Exit with 1 if there is something to do.")
@option("--allow-latest", is_flag=True, help="Allow mutable image tags.")
@common
def command(output: Output, file: Path, against: str | None, *, detailed_exitcode: bool, allow_latest: bool) -> int:
    """Show what `up` would change.

    Use it before `up`, or in a pipeline to detect that a server differs from its deployment FILE. It shows the changes,
    the steps in order, the memory they need, and what `up` would refuse; it changes nothing.

    Exit code 1: `up` would refuse something; with --detailed-exitcode, also if there is something to do.
    """
    from tfs_deploy.operations.deployment import Deployment

    deployment = Deployment.load(
        file, allow_latest=allow_latest, on_advice=lambda problem: output.note(f"warning: {problem}")
    )
    found = deployment.plan(against=against)
    output.result(found.document(), _text(found, elsewhere=against is not None), to_read=True)
    return 1 if found.refused or (detailed_exitcode and found) else 0


def _text(plan: ServerPlan, *, elsewhere: bool) -> str:
    from tfs_deploy.text import size_text

    head = "the server differs from the file" if elsewhere and (plan or plan.refused) else _HEADS[plan.action]
    lines = [head, *(f"  {change}" for change in plan.changes)]
    if plan.steps and not (elsewhere and plan.refused):  # what is refused is the difference: no step comes of it
        order = "these steps would bring it to the file:" if elsewhere else "in this order:"
        lines += ["", order, *(f"  {number}. {line}" for number, line in enumerate(plan.lines, 1))]
    if plan.gap == 0:
        lines.append("\nno downtime for clients that follow the endpoint file; others have to call the new ports")
    elif plan.gap:
        lines.append(f"\nabout {plan.gap:.1f} s of downtime; server.alternate_ports avoids it")
    memory = plan.memory
    if plan.steps and memory is not None:
        room = f", {memory.limit} has {size_text(memory.room)}" if memory.room is not None else ""
        lines.append(
            f"\nmemory: about {size_text(memory.models)} for the models, {size_text(memory.peak)} at most{room}"
        )
    if plan and not elsewhere:
        where = "a process of this machine" if plan.image is None else f"a container of {plan.image}"
        lines.append(f"\nserver: {where} (target: {plan.target})")
    lines += [f"\nnote: {note}" for note in plan.notes]
    lines += [f"\nrefused: {reason}" for reason in plan.refusals]
    return "\n".join(lines)
