# SPDX-License-Identifier: Apache-2.0
"""A rollout as tables and as a Markdown page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.report.tables import Column, Table, markdown_table, markdown_text
from tfs_deploy.report.timeline import timeline
from tfs_deploy.rollout.experiment import compare_arms
from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.machine.narration import REFUSED
from tfs_deploy.rollout.result import RolloutResult
from tfs_deploy.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.rollout.experiment import Estimate
    from tfs_deploy.rollout.gates.request_stats import WindowSummary
    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.rollout.result import StepReport

_COLORS = {Verdict.PASS: None, Verdict.FAIL: "red", Verdict.TOO_FEW: "yellow", Verdict.NOT_JUDGED: "yellow"}


def steps_table(
    steps: Sequence[StepReport], *, title: str = "", stable: str = "stable", canary: str = "canary"
) -> Table:
    """Return one row per step: weight, seconds, requests, errors and latencies of both labels, the verdict.

    A latency that had too few requests for its name is a dash. If no requests were counted at all, their columns are
    left out.
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


def arms_table(step: StepReport, *, stable: str = "stable") -> Table | None:
    """Return a row for each label and measure of a step, with 95 % confidence intervals; ``None`` without a comparison.

    A change from ``stable`` is ``real`` if its interval does not contain 0.
    """
    arms = compare_arms(step.windows, stable)
    if len(arms) < 2:
        return None
    rows = []
    for arm in arms:
        rows.append(["failed", arm.label, arm.requests, *_cells_of(arm.errors, arm.error_change, 100, " %")])
        served = arm.requests - step.windows[arm.label].errors
        rows.append(["latency", arm.label, served, *_cells_of(arm.latency, arm.latency_change, 1000, " ms")])
        if arm.outcomes:
            rows.append(["outcome", arm.label, arm.outcomes, *_cells_of(arm.outcome, arm.outcome_change, 1, "")])
    rows.sort(key=lambda row: ("failed", "latency", "outcome").index(str(row[0])))
    right = [
        Column(name, "right") for name in ("samples", "mean", "95 % interval", f"change from {stable}", "95 % interval")
    ]
    return Table.of(["measure", "arm", *right, "real"], rows)


def rollout_report(plan: RolloutPlan, events: Sequence[Event]) -> str:
    """Return a rollout as a Markdown page: result, phases, gates, journal."""
    result, time = RolloutResult.from_events(plan, events), timeline(plan, events)
    phases = [[entry.phase, f"{entry.start:.1f}", f"{entry.seconds:.1f}"] for entry in time.segments]
    head: list[Column | str] = ["phase", Column("starts at s", "right"), Column("seconds", "right")]
    parts = [rollout_markdown(result)]
    arms = arms_table(result.steps[-1], stable=plan.stable) if result.steps else None
    if arms is not None:
        parts += ["Versions in the last step, with 95 % confidence intervals:", "", markdown_table(arms)]
    parts += ["Times:", "", markdown_table(Table.of(head, phases)), "Journal:", ""]
    parts += [f"    {at:8.1f} s  {one_line(visible(text))}" for at, text in time.lines]
    return "\n".join(parts).rstrip() + "\n"


def rollout_markdown(result: RolloutResult, *, title: str | None = None) -> str:
    """Return a rollout as a section of a Markdown page."""
    heading = title or f"Rollout of {result.model}: version {result.old} to {result.new}"
    lines = [f"## {markdown_text(heading)}", "", markdown_text(summary(result)), ""]
    if result.steps:
        lines += [markdown_table(steps_table(result.steps)), *_whole(result)]
        lines += ["Gates:", "", markdown_table(verdicts_table(result.steps))]
    lines += [f"- {markdown_text(note)}" for note in result.notes]
    return "\n".join(lines).rstrip() + "\n"


def summary(result: RolloutResult) -> str:
    """Return in one line how a rollout ended."""
    if result.refused:
        return f"{REFUSED.capitalize()}: {result.reason}"
    total, outside = result.total, result.outside
    load = " of synthetic load" if result.synthetic else ""
    counted = f", {total.errors} of {total.requests} requests{load} failed" if total.requests else ""
    if outside.errors:
        counted += f" ({outside.errors} outside the steps)"
    if not total.requests and result.judges_traffic and result.steps:
        counted = ", no request was seen"
    reason = f": {result.reason}" if result.reason else ""
    return f"{result.status.value.capitalize()} after {result.seconds:.1f} s{counted}{reason}"


def requests_line(result: RolloutResult) -> str:
    """Return in one line the requests in the steps, outside them and in all; empty without any."""
    total, outside = result.total, result.outside
    if not total.requests:
        return ""
    parts = (("in the steps", total - outside), ("outside them", outside), ("in all", total))
    load = "synthetic load" if result.synthetic else "requests"
    return f"{load}: " + ", ".join(f"{count.requests} {where} ({count.errors} failed)" for where, count in parts)


def _whole(result: RolloutResult) -> list[str]:
    line = requests_line(result)
    return [line[:1].upper() + line[1:], ""] if line else []


def _cells(step: StepReport, label: str) -> list[str]:
    window: WindowSummary | None = step.windows.get(label)
    if window is None:
        return ["0", "0", "", ""]
    latencies = (milliseconds(getattr(window, name)) if window.tells(name) else "-" for name in ("p50", "p99"))
    return [str(window.requests), str(window.errors), *latencies]


def milliseconds(seconds: float | None) -> str:
    """Return seconds as milliseconds; empty if unknown."""
    return "" if seconds is None else f"{seconds * 1000:.1f}"


def _cells_of(value: Estimate | None, change: Estimate | None, factor: float, unit: str) -> list[str]:
    """Return a value, its interval, its change, the change's interval, and whether it is more than chance."""
    if value is None:
        return ["", "", "", "", ""]
    cells = [f"{value.value * factor:.3g}{unit}", _between(value, factor, "")]
    if change is None:
        return [*cells, "", "", ""]
    real = "yes" if change.low > 0 or change.high < 0 else "no"
    return [*cells, f"{change.value * factor:+.3g}{unit}", _between(change, factor, "+"), real]


def _between(estimate: Estimate, factor: float, sign: str) -> str:
    return f"{estimate.low * factor:{sign}.3g} to {estimate.high * factor:{sign}.3g}"
