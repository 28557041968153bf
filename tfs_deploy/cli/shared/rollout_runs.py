"""What the commands about rollouts share: carrying one through, waiting for one, showing it."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tfs_deploy.cli.shared.rollout_watch import view
from tfs_deploy.client import read_traffic
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import EnvironmentFault, LockedError, UsageError, file_hint
from tfs_deploy.report import (
    Column,
    Table,
    arms_table,
    rollout_html,
    rollout_report,
    steps_table,
    terminal_table,
)
from tfs_deploy.report.rollout import summary
from tfs_deploy.rollout import Rollout, RolloutResult, Status
from tfs_deploy.rollout.begin import latest_rollout, recorded_rollouts
from tfs_deploy.rollout.machine.timing import timing
from tfs_deploy.smoke.deployment import find_model
from tfs_deploy.state.lock import describe_holder, rollout_holder
from tfs_deploy.state.mailbox import FileMailbox
from tfs_deploy.state.traffic import traffic_path

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout import Plan, StepReport


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
    last = latest_rollout(deployment.state_dir, model)
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
    """Abort an unfinished rollout: here, or in the process that is at work on it; others are waited for."""
    busy = rollout_holder(deployment.state_dir, model)
    if busy is not None:
        output.note(f"asking the process at work to go back: {describe_holder(busy)}")
        code = ask_and_wait(output, deployment, model, "abort", Status.ROLLED_BACK, timeout)
        if code is not None:
            return code
        output.note("the process at work has ended without going back")
    return carry_through(output, Rollout.abort(deployment, model, wait_lock=timeout), wanted=Status.ROLLED_BACK)


def say_yes(output: Output, deployment: Deployment, model: str, *, skip_steps: bool, watch: bool) -> int:
    """Approve an unfinished rollout: go on with it here, or tell the process that is at work on it."""
    busy = rollout_holder(deployment.state_dir, model)
    if busy is None:
        return carry_through(output, Rollout.promote(deployment, model, skip_steps=skip_steps), watch=watch)
    request = "promote-now" if skip_steps else "promote"
    FileMailbox(deployment.state_dir, model).post(request)
    output.note(f"told the process at work: {describe_holder(busy)}")
    output.result({"asked": request}, "approved: the process at work goes on")
    return 0


def ask_and_wait(
    output: Output, deployment: Deployment, model: str, request: str, wanted: Status, timeout: float
) -> int | None:
    """Leave a request for the process at work and wait until the rollout has ended.

    Returns ``None`` if nobody is at work any more, and the rollout has not ended.
    """
    FileMailbox(deployment.state_dir, model).post(request)
    end = time.monotonic() + timeout
    while True:
        busy = rollout_holder(deployment.state_dir, model)  # looked at first: who leaves has written the end before
        last = latest_rollout(deployment.state_dir, model)
        if last is not None and last.history.finished is not None:
            break
        if busy is None:
            return None
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
        arms = arms_table(result.steps[-1]) if result.strategy == "ab" else None
        if arms is not None:
            console.print(terminal_table(arms))
    for note in result.notes:
        console.print(f"note: {note}", markup=False)


def show_status(output: Output, deployment: Deployment, model: str) -> None:
    """Print the last rollout of a model and who is at work on it."""
    last, worker = latest_rollout(deployment.state_dir, model), rollout_holder(deployment.state_dir, model)
    if last is None:
        output.result({"rollout": None, "at_work": worker}, f"{model} was never rolled out")
        return
    result = RolloutResult.from_events(last.plan, last.events)
    facts = {"rollout": result.as_dict(), "at_work": worker, "phase": last.history.phase, "traffic": None}
    if last.unfinished:
        facts["traffic"] = dict(read_traffic(traffic_path(deployment.state_dir)).models.get(model, {}))

    def render(console: Console) -> None:
        if result.status is Status.RUNNING and worker is not None:
            console.print(view(deployment, model, last))
        else:
            show(console, result)

    output.result(facts, render)
    if last.unfinished and worker is None:
        file = deployment.source
        output.note(f"no process is at work on it: tfs-deploy rollout resume {file}, or rollout abort {file}")


def show_history(output: Output, deployment: Deployment, model: str) -> None:
    """Print a line for each rollout of a model."""
    found = [
        (int(entry.journal.path.stem), entry.events[0].at, RolloutResult.from_events(entry.plan, entry.events))
        for entry in recorded_rollouts(deployment.state_dir, model)
    ]
    documents = [{"number": number, "begun": _when(begun), **result.as_dict()} for number, begun, result in found]
    rows = [
        [number, _when(begun), result.old, result.new, result.kind, result.status.value, *_end(result)]
        for number, begun, result in found
    ]
    columns: list[Column | str] = [
        Column("no.", "right"),
        Column("begun", "right", least=10),
        Column("from", "right"),
        Column("to", "right"),
        "kind",
        Column("status", verdict=True),
        Column("seconds", "right"),
        "reason",
    ]
    table = Table.of(columns, rows)
    text = None if rows else f"{model} was never rolled out"
    output.result({"rollouts": documents}, text or (lambda console: console.print(terminal_table(table))))


def show_report(output: Output, deployment: Deployment, model: str, number: int | None, html: Path | None) -> None:
    """Write the report of one rollout: to standard output as Markdown, or into a file as HTML."""
    found = list(recorded_rollouts(deployment.state_dir, model))
    chosen = found if number is None else [entry for entry in found if int(entry.journal.path.stem) == number]
    if not chosen:
        what = f"{model} was never rolled out" if not found else f"{model} has no rollout of number {number}"
        raise UsageError(what, hint=f"tfs-deploy rollout history {deployment.source}")
    entry = chosen[0]
    document = {"rollout": RolloutResult.from_events(entry.plan, entry.events).as_dict()}
    if html is None:
        output.result(document, rollout_report(entry.plan, entry.events).rstrip())
        return
    try:
        html.write_text(rollout_html(entry.plan, entry.events), encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{html} cannot be written: {error.strerror}", hint=file_hint(error)) from error
    output.result({**document, "html": str(html)}, f"wrote {html}")


def show_plan(output: Output, plan: Plan) -> None:
    """Print the phases of a plan, its least times, and what it is judged by."""
    times = timing(plan)
    rows = [[entry.phase, entry.what, f"{entry.seconds:.1f}" if entry.seconds else ""] for entry in times.phases]
    table = Table.of(["phase", "what happens", Column("seconds", "right")], rows)
    forward = f"{span(times.promote)} after the start, without loading and asking; done after {span(times.done)}"
    noticed = f"a fault in a step is noticed within {span(times.notice)}, given enough samples"
    back = f"the last answer of version {plan.new} comes within {times.back:.1f} s of the verdict"

    def render(console: Console) -> None:
        console.print(f"{plan.model}: version {plan.old} to {plan.new}, {plan.strategy}", markup=False)
        console.print(terminal_table(table))
        console.print(f"fastest promotion: {forward}\nfastest rollback: {noticed}; {back}", markup=False)

    facts = {"promote": times.promote, "done": times.done, "notice": times.notice, "back": times.back}
    phases = [{"phase": entry.phase, "what": entry.what, "seconds": entry.seconds} for entry in times.phases]
    output.result({"plan": plan.as_dict(), "seconds": facts, "phases": phases}, render)


def span(seconds: float) -> str:
    """Say how long something takes, in the units that people use for it."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _end(result: RolloutResult) -> tuple[str, str]:
    return f"{result.seconds:.1f}", result.reason


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
