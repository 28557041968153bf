# SPDX-License-Identifier: Apache-2.0
"""What the commands about rollouts print: a result, the status, the history, a report, a plan."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from tfs_deploy.cli.shared.rollout_watch import live_view
from tfs_deploy.client import read_traffic
from tfs_deploy.deployment.deployment import command_arguments
from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.report import (
    Column,
    Table,
    arms_table,
    rollout_html,
    rollout_report,
    steps_table,
    terminal_table,
)
from tfs_deploy.report.rollout import requests_line, summary
from tfs_deploy.rollout import RolloutResult, Status
from tfs_deploy.rollout.begin import latest_rollout, recorded_rollouts
from tfs_deploy.rollout.machine.narration import unlimited_answers, unseen_traffic, way_on
from tfs_deploy.rollout.machine.timing import timing
from tfs_deploy.state.lock import rollout_holder
from tfs_deploy.state.traffic import traffic_path

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout import CheckResult, Plan


def show_result(console: Console, result: RolloutResult) -> None:
    """Print a rollout: its end, its steps, its notes."""
    head = f"{result.model}: version {result.old} to {result.new}"
    console.print(f"{head}: {summary(result)}", markup=False)
    if result.steps:
        console.print(terminal_table(steps_table(result.steps)))
        if requests_line(result):
            console.print(requests_line(result), markup=False)
        arms = arms_table(result.steps[-1]) if result.strategy == "ab" else None
        if arms is not None:
            console.print(terminal_table(arms))
    show_notes(console, result)


def show_notes(console: Console, result: RolloutResult) -> None:
    """Print the notes of a rollout."""
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
            console.print(live_view(deployment, model, last))
        else:
            show_result(console, result)

    output.result(facts, render)
    if last.unfinished and worker is None:
        named = command_arguments(deployment, model)
        output.note(
            f"no process is at work on it; continue with: tfs-deploy rollout resume {named}, or rollout abort {named}"
        )


def show_history(output: Output, deployment: Deployment, model: str) -> None:
    """Print a line for each rollout of a model."""
    found = [
        (int(entry.journal.path.stem), entry.events[0].at, RolloutResult.from_events(entry.plan, entry.events))
        for entry in recorded_rollouts(deployment.state_dir, model)
    ]
    documents = [{"number": number, "begun": _when(begun), **result.as_dict()} for number, begun, result in found]
    rows = [
        [number, _when(begun), result.old, result.new, result.kind, _status(result), *_end(result)]
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
    output.result({"rollouts": documents}, text or (lambda console: console.print(terminal_table(table))), to_read=True)


def show_report(output: Output, deployment: Deployment, model: str, number: int | None, html: Path | None) -> None:
    """Write the report of one rollout: to standard output as Markdown, or into a file as HTML."""
    found = list(recorded_rollouts(deployment.state_dir, model))
    chosen = found if number is None else [entry for entry in found if int(entry.journal.path.stem) == number]
    if not chosen:
        what = f"{model} was never rolled out" if not found else f"{model} has no rollout number {number}"
        raise UsageError(what, hint=f"tfs-deploy rollout history {command_arguments(deployment, model)}")
    entry = chosen[0]
    undone = next((each for each in found[1:] if not each.plan.back), None)
    if number is None and entry.plan.back and undone is not None:
        plan, before = undone.plan, int(undone.journal.path.stem)
        output.note(
            f"this is the rollback; the rollout from version {plan.old} to {plan.new} before it: "
            f"tfs-deploy rollout report {deployment.source} --number {before}"
        )
    document = {"rollout": RolloutResult.from_events(entry.plan, entry.events).as_dict()}
    if html is None:
        output.result(document, rollout_report(entry.plan, entry.events).rstrip(), to_read=True)
        return
    try:
        html.write_text(rollout_html(entry.plan, entry.events), encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{html} cannot be written: {error.strerror}", hint=file_hint(error)) from error
    output.result({**document, "html": str(html)}, f"wrote {html}")


def show_plan(output: Output, plan: Plan, check: CheckResult) -> None:
    """Print the phases of a plan, its shortest times and what preflight found."""
    times = timing(plan)
    rows = [[entry.phase, entry.what, f"{entry.seconds:.1f}" if entry.seconds else ""] for entry in times.phases]
    table = Table.of(["phase", "what happens", Column("seconds", "right")], rows)
    promoted, done = duration_text(times.promote), duration_text(times.done)
    forward = f"{promoted} after the start, plus the time for loading and smoke; done after {done}"
    noticed = f"a fault in a step is detected within {duration_text(times.notice)}, given enough samples"
    back = f"the last answer of version {plan.new} comes within {times.back:.1f} s of the verdict"

    def render(console: Console) -> None:
        console.print(f"{plan.model}: version {plan.old} to {plan.new}, {plan.strategy}", markup=False)
        console.print(terminal_table(table))
        if unseen_traffic(plan):
            console.print(f"note: {unseen_traffic(plan)}", markup=False)
        if unlimited_answers(plan):
            console.print(f"note: {unlimited_answers(plan)}", markup=False)
        for note in check.notes:
            console.print(f"note: {note}", markup=False)
        console.print(f"fastest promotion: {forward}\nfastest rollback: {noticed}; {back}", markup=False)
        for refusal in check.refusals:
            console.print(f"preflight refuses: {refusal}", markup=False)
        if check.refusals:
            console.print(f"to go on: {way_on(plan.new, check.allowed_by)}", markup=False)

    facts = {"promote": times.promote, "done": times.done, "notice": times.notice, "back": times.back}
    phases = [{"phase": entry.phase, "what": entry.what, "seconds": entry.seconds} for entry in times.phases]
    found = {"passed": check.ok, "refusals": list(check.refusals), "allowed_by": list(check.allowed_by)}
    preflight = {**found, "notes": list(check.notes)}
    output.result({"plan": plan.as_dict(), "seconds": facts, "phases": phases, "preflight": preflight}, render)


def duration_text(seconds: float) -> str:
    """Return a duration as people write it: ``12.3 s``, ``5 min 20 s``."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def _status(result: RolloutResult) -> str:
    return "refused" if result.refused else result.status.value


def _end(result: RolloutResult) -> tuple[str, str]:
    return f"{result.seconds:.1f}", result.reason


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
