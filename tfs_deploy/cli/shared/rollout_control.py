# SPDX-License-Identifier: Apache-2.0
"""What the commands about rollouts share: choosing a model, running a rollout, asking the process at work on one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tfs_deploy.cli.shared.progress import LiveLine, progress_text
from tfs_deploy.cli.shared.rollout_views import show_notes, show_result
from tfs_deploy.deployment.deployment import command_arguments
from tfs_deploy.errors import LockedError, UsageError
from tfs_deploy.operations.deployment import Deployment
from tfs_deploy.report import steps_table, terminal_table
from tfs_deploy.rollout import Rollout, RolloutResult, Status
from tfs_deploy.rollout.begin import latest_rollout
from tfs_deploy.state.lock import describe_holder, rollout_holder
from tfs_deploy.state.mailbox import FileMailbox

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.rollout import StepReport


def choose_model(file: Path, name: str | None) -> tuple[Deployment, str]:
    """Read a deployment file and choose the model; a deployment with one model needs no name."""
    deployment = Deployment.load(file, check_disk=False)
    return deployment, deployment.model_name(name)


def require_unfinished(deployment: Deployment, model: str) -> None:
    """Raise ``UsageError`` unless the model has an unfinished rollout."""
    last = latest_rollout(deployment.state_dir, model)
    if last is None or not last.unfinished:
        how = "was never rolled out" if last is None else "has no unfinished rollout"
        start = f"tfs-deploy rollout start {command_arguments(deployment, model)}"
        raise UsageError(f"{model} {how}", hint=f"start one with: {start}")


def run_rollout(output: Output, rollout: Rollout, *, wanted: Status = Status.DONE, watch: bool = False) -> int:
    """Run a rollout, progress on stderr, table on stdout; ``VerdictError`` unless it ends as wanted.

    On a terminal the last line shows the step, its requests and the time left.
    """
    seen: list[StepReport] = []
    line = LiveLine(shows=not output.quiet and not output.as_json)

    def on_event(text: str) -> None:
        line.clear()
        output.note(text)

    def on_step(step: StepReport) -> None:
        seen.append(step)
        line.clear()
        if watch and not output.quiet:
            output.console(stderr=True).print(terminal_table(steps_table(seen)))

    try:
        result = rollout.run(
            on_event=on_event, on_step=on_step, on_wait=lambda at: line.show(progress_text(at)), check=False
        )
    except KeyboardInterrupt:
        line.clear()
        named = command_arguments(rollout.deployment, rollout.model.name)
        output.warn(
            f"everything stays as it is; continue with: tfs-deploy rollout resume {named}, or rollout abort {named}"
        )
        raise
    finally:
        line.clear()
    return conclude(output, result, wanted)


def abort_rollout(output: Output, deployment: Deployment, model: str, *, timeout: float) -> int:
    """Abort an unfinished rollout: in the process at work on it, which is waited for, or here if there is none."""
    busy = rollout_holder(deployment.state_dir, model)
    if busy is not None:
        output.note(f"asking the process at work to roll back: {describe_holder(busy)}")
        code = request_and_wait(output, deployment, model, "abort", Status.ROLLED_BACK, timeout)
        if code is not None:
            return code
        output.note("the process at work ended without rolling back")
    return run_rollout(output, Rollout.abort(deployment, model, wait_lock=timeout), wanted=Status.ROLLED_BACK)


def approve_rollout(
    output: Output, deployment: Deployment, model: str, *, skip_steps: bool, wait_lock: float, watch: bool
) -> int:
    """Approve an unfinished rollout: notify the process at work on it, or continue it here if there is none."""
    busy = rollout_holder(deployment.state_dir, model)
    if busy is None:
        rollout = Rollout.promote(deployment, model, skip_steps=skip_steps, wait_lock=wait_lock)
        return run_rollout(output, rollout, watch=watch)
    request = "promote-now" if skip_steps else "promote"
    FileMailbox(deployment.state_dir, model).post(request)
    output.note(f"notified the process at work: {describe_holder(busy)}")
    output.result({"asked": request}, "approved: the process at work continues")
    return 0


def request_and_wait(
    output: Output, deployment: Deployment, model: str, request: str, wanted: Status, timeout: float
) -> int | None:
    """Leave a request for the process at work and wait until the rollout has ended.

    Returns ``None`` if that process has ended before the rollout did.
    """
    FileMailbox(deployment.state_dir, model).post(request)
    end = time.monotonic() + timeout
    while True:
        busy = rollout_holder(deployment.state_dir, model)  # read first: a process writes the end before it leaves
        last = latest_rollout(deployment.state_dir, model)
        if last is not None and last.history.finished is not None:
            break
        if busy is None:
            return None
        if time.monotonic() >= end:
            message = f"the process at work did not {request} within {timeout:g} s"
            raise LockedError(message, hint=f"tfs-deploy rollout status {command_arguments(deployment, model)}")
        time.sleep(0.1)
    return conclude(output, RolloutResult.from_events(last.plan, last.events), wanted)


def conclude(output: Output, result: RolloutResult, wanted: Status) -> int:
    """Show how a rollout ended; ``VerdictError``, with --json exit code 1, unless as wanted."""
    show = show_notes if result.refused else show_result  # the error tells the reasons once
    output.result({"rollout": result.as_dict()}, lambda console: show(console, result))
    if output.as_json and result.status is not wanted:
        return 1
    result.check(wanted)
    return 0
