"""A rollout as tables and as a Markdown page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.report.tables import Column, Table, markdown_table
from tfs_deploy.rollout.ports import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.rollout.result import RolloutResult, StepReport
    from tfs_deploy.rollout.stats import WindowSummary

_COLORS = {Verdict.PASS: None, Verdict.FAIL: "red", Verdict.TOO_FEW: "yellow"}


def steps_table(
    steps: Sequence[StepReport], *, title: str = "", stable: str = "stable", canary: str = "canary"
) -> Table:
    """Return one row a step: weight, seconds, requests, errors and latencies of both labels, the verdict.

    Where no requests were counted at all, their columns are left out.
    """
    labels = (canary, stable) if any(step.windows for step in steps) else ()
    columns = [Column("canary %", "right"), Column("seconds", "right")]
    for label in labels:
        heads = (f"{label} requests", "errors", "p50 ms", "p99 ms")
        columns += [Column(head, "right") for head in heads]
    rows = [
        [
            *(f"{step.weight:g}", f"{step.seconds:.1f}"),
            *(cell for label in labels for cell in _cells(step, label)),
            step.verdict.value,
        ]
        for step in steps
    ]
    return Table.of([*columns, Column("verdict")], rows, title=title, styles=[_COLORS[step.verdict] for step in steps])


def verdicts_table(steps: Sequence[StepReport]) -> Table:
    """Return one row for each gate of each step, with its reason."""
    rows = [
        [f"{step.weight:g}", entry.gate, entry.verdict.value, entry.reason] for step in steps for entry in step.verdicts
    ]
    styles = [_COLORS[entry.verdict] for step in steps for entry in step.verdicts]
    return Table.of([Column("canary %", "right"), "gate", "verdict", "reason"], rows, styles=styles)


def rollout_markdown(result: RolloutResult, *, title: str | None = None) -> str:
    """Write a rollout as a section of a Markdown page."""
    heading = title or f"Rollout of {result.model}: version {result.old} to {result.new}"
    lines = [f"## {heading}", "", f"{summary(result)}", ""]
    if result.steps:
        lines += [markdown_table(steps_table(result.steps)), "Gates:", "", markdown_table(verdicts_table(result.steps))]
    lines += [f"- {note}" for note in result.notes]
    return "\n".join(lines).rstrip() + "\n"


def summary(result: RolloutResult) -> str:
    """Say in one line how a rollout ended."""
    requests = sum(step.requests for step in result.steps)
    errors = sum(step.errors for step in result.steps)
    counted = f", {errors} of {requests} requests failed" if requests else ""
    reason = f": {result.reason}" if result.reason else ""
    return f"{result.status.value.capitalize()} after {result.seconds:.1f} s{counted}{reason}"


def _cells(step: StepReport, label: str) -> list[str]:
    window: WindowSummary | None = step.windows.get(label)
    if window is None:
        return ["0", "0", "", ""]
    return [str(window.requests), str(window.errors), _milliseconds(window.p50), _milliseconds(window.p99)]


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.1f}"
