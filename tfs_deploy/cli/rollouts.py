"""What the commands about rollouts share: carrying one through, waiting for one, showing it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tfs_deploy.errors import LockedError, UsageError
from tfs_deploy.report import steps_table, terminal_table
from tfs_deploy.report.rollout import summary
from tfs_deploy.rollout import Rollout, RolloutResult, Status
from tfs_deploy.rollout.begin import latest
from tfs_deploy.rollout.mailbox import FileMailbox
from tfs_deploy.spec import load_deployment
from tfs_deploy.verify.deployment import find_model

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tfs_deploy.cli.output import Output
    from tfs_deploy.config import Deployment
    from tfs_deploy.rollout import StepReport


def choose(file: Path, name: str | None) -> tuple[Deployment, str]:
    """Read a deployment file and choose the model; a deployment with one model needs no name."""
    deployment = load_deployment(file)
    if name is not None:
        return deployment, find_model(deployment, name).name
    if len(deployment.models) == 1:
        return deployment, deployment.models[0].name
    names = ", ".join(model.name for model in deployment.models)
    raise UsageError(f"{file} has several models", hint=f"name one with --model: {names}")


def require_unfinished(deployment: Deployment, model: str) -> None:
    """Raise ``UsageError`` unless there is a rollout to go on with."""
    last = latest(deployment.state_dir, model)
    if last is None or not last.unfinished:
        how = "was never rolled out" if last is None else "has no unfinished rollout"
        raise UsageError(f"{model} {how}", hint=f"begin one with: tfs-deploy rollout start {deployment.source}")


def carry_through(output: Output, rollout: Rollout, *, wanted: Status = Status.DONE, watch: bool = False) -> int:
    """Run a rollout, progress on stderr, table on stdout; ``VerdictError`` unless it ends as wanted."""
    seen: list[StepReport] = []

    def on_step(step: StepReport) -> None:
        seen.append(step)
        if watch and not output.quiet:
            output.console(stderr=True).print(terminal_table(steps_table(seen)))

    try:
        result = rollout.run(on_event=output.note, on_step=on_step, check=False)
    except KeyboardInterrupt:
        file = rollout.deployment.source
        output.warn(f"all stays as it is now; go on with: tfs-deploy rollout resume {file}, or rollout abort {file}")
        raise
    return conclude(output, result, wanted)


def send_back(output: Output, deployment: Deployment, model: str, *, timeout: float) -> int:
    """Abort an unfinished rollout: here, or in the process that is at work on it."""
    try:
        return carry_through(output, Rollout.abort(deployment, model), wanted=Status.ROLLED_BACK)
    except LockedError as error:
        output.note(f"asking the process at work to go back: {error.message}")
    return ask_and_wait(output, deployment, model, "abort", Status.ROLLED_BACK, timeout)


def ask_and_wait(
    output: Output, deployment: Deployment, model: str, request: str, wanted: Status, timeout: float
) -> int:
    """Leave a request for the process at work and wait until the rollout has ended."""
    FileMailbox(deployment.state_dir, model).post(request)
    end = time.monotonic() + timeout
    while (last := latest(deployment.state_dir, model)) is None or last.history.finished is None:
        if time.monotonic() >= end:
            message = f"the process at work did not {request} within {timeout:g} s"
            raise LockedError(message, hint="tfs-deploy rollout status shows how the rollout stands")
        time.sleep(0.1)
    return conclude(output, RolloutResult.from_events(last.plan, last.events), wanted)


def conclude(output: Output, result: RolloutResult, wanted: Status) -> int:
    """Show how a rollout ended; ``VerdictError``, with --json exit code 1, unless as wanted."""
    output.result({"rollout": result.as_dict()}, lambda console: show(console, result))
    if output.as_json and result.status is not wanted:
        return 1
    result.check(wanted)
    return 0


def show(console: Console, result: RolloutResult) -> None:
    """Print a rollout: its end, its steps, its notes."""
    head = f"{result.model}: version {result.old} to {result.new}"
    console.print(f"{head}: {summary(result)}", markup=False)
    if result.steps:
        console.print(terminal_table(steps_table(result.steps)))
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
