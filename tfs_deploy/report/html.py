"""A rollout as one HTML page that needs no other file, no script and no network."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.rollout import arms_table, steps_table, summary, verdicts_table
from tfs_deploy.report.svg import Bar, Series, bar_chart, line_chart
from tfs_deploy.report.timeline import timeline
from tfs_deploy.rollout.phases import ROLLBACK
from tfs_deploy.rollout.result import RolloutResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.report.tables import Table
    from tfs_deploy.report.timeline import Judged, Timeline
    from tfs_deploy.rollout.history import Event
    from tfs_deploy.rollout.plan import Plan
    from tfs_deploy.rollout.stats import WindowSummary

_STYLE: Final = """
:root { --ink: #1c2128; --soft: #5d6773; --rule: #d8dee4; --paper: #fff; --old: #2f6fde; --new: #d9622b;
  --good: #1a7f37; --bad: #cf222e; --wait: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --rule: #30363d; --paper: #0d1117;
  --old: #6ea8fe; --new: #ff9b66; --good: #57c26b; --bad: #ff7b72; --wait: #e3b341; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 820px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0.2em; } h2 { font-size: 1.1em; margin-top: 2em; }
.status { font-weight: 600; } .done { color: var(--good); } .rolled-back { color: var(--bad); }
.paused, .running { color: var(--wait); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9em; }
th, td { padding: 0.25em 0.7em; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
td.right, th.right { text-align: right; font-variant-numeric: tabular-nums; }
td.pass { color: var(--good); } td.fail { color: var(--bad); } td.few { color: var(--wait); }
svg { width: 100%; height: auto; } .grid { stroke: var(--rule); stroke-width: 1; }
.tick { fill: var(--soft); font-size: 11px; } .line { fill: none; stroke-width: 1.8; }
.line.old { stroke: var(--old); } .line.new { stroke: var(--new); } circle.old, rect.old { fill: var(--old); }
circle.new, rect.new { fill: var(--new); } rect.bad { fill: var(--bad); } rect.plain { fill: var(--soft); }
.key { color: var(--soft); font-size: 0.9em; } .key b.old { color: var(--old); } .key b.new { color: var(--new); }
footer { color: var(--soft); font-size: 0.85em; margin-top: 2.5em; }
"""
_CELLS: Final = {"pass": "pass", "fail": "fail", "too few samples": "few"}


def rollout_html(plan: Plan, events: Sequence[Event]) -> str:
    """Write a rollout as a page: time line, traffic, errors and latency of both versions, gates, journal."""
    result, time = RolloutResult.from_events(plan, events), timeline(plan, events)
    title = f"Rollout of {plan.model}: version {plan.old} to {plan.new}"
    status = result.status.value.replace(" ", "-")
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p><span class="status {status}">{escape(summary(result))}</span></p>',
        f'<p class="key">{escape(_facts(plan, events))}</p>',
        _plots(plan, time),
        *_tables(result),
        _section("Notes", "".join(f"<li>{escape(note)}</li>" for note in result.notes), "ul"),
        _section("Journal", "".join(_line(at, text) for at, text in time.lines), "table"),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n"
        "<footer>tfs-deploy rollout report</footer>\n</body>\n</html>\n"
    )


def _facts(plan: Plan, events: Sequence[Event]) -> str:
    begun = datetime.fromtimestamp(events[0].at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC") if events else ""
    steps = ", ".join(f"{step:g}" for step in plan.steps)
    how = f"{plan.strategy} through {steps} %, each watched for {plan.bake:g} s" if steps else "direct switch"
    return f"begun {begun}; {how}"


def _plots(plan: Plan, time: Timeline) -> str:
    bars = [Bar(entry.phase, _bar_style(entry.phase), entry.start, entry.end) for entry in time.segments]
    traffic = [Series(f"version {plan.new}", "new", time.traffic, steps=True)]
    plots = {
        "Phases": bar_chart("Phases over time", bars, time.seconds) if bars else "",
        "Traffic of the new version": line_chart("Traffic of the new version", " %", traffic, time.seconds),
        "Failed requests": line_chart("Failed requests", " %", _lines(plan, time, "errors"), time.seconds),
        "Latency, median": line_chart("Median latency", " ms", _lines(plan, time, "p50"), time.seconds),
        "Latency, 99th percentile": line_chart("99th percentile", " ms", _lines(plan, time, "p99"), time.seconds),
    }
    key = (
        f'<p class="key"><b class="old">&#9632;</b> version {plan.old} ({escape(plan.stable)}) '
        f'<b class="new">&#9632;</b> version {plan.new} ({escape(plan.canary)}); numbers of a step so far, '
        "at each judgement</p>"
    )
    drawn = [f"<h2>{escape(name)}</h2>\n{plot}" for name, plot in plots.items() if plot]
    return "\n".join([*drawn[:2], key, *drawn[2:]])


def _bar_style(phase: str) -> str:
    if phase == ROLLBACK:
        return "bad"
    return "new" if phase.endswith("%") else "plain"


def _lines(plan: Plan, time: Timeline, what: str) -> list[Series]:
    labels = ((plan.stable, "old", plan.old), (plan.canary, "new", plan.new))
    return [
        Series(f"version {version}", style, tuple(_points(time.judged, label, what)))
        for label, style, version in labels
    ]


def _points(judged: Sequence[Judged], label: str, what: str) -> list[tuple[float, float]]:
    points = []
    for entry in judged:
        window = entry.report.windows.get(label)
        value = None if window is None or not window.requests else _value(window, what)
        if value is not None:
            points.append((entry.at, value))
    return points


def _value(window: WindowSummary, what: str) -> float | None:
    if what == "errors":
        return 100 * window.error_rate
    seconds = window.p50 if what == "p50" else window.p99
    return None if seconds is None else 1000 * seconds


def _tables(result: RolloutResult) -> list[str]:
    if not result.steps:
        return []
    arms = arms_table(result.steps[-1])
    shown = {"Steps": steps_table(result.steps), "Gates": verdicts_table(result.steps)}
    if arms is not None:
        shown["Comparison of the versions in the last step"] = arms
    return [f'<h2>{escape(name)}</h2>\n<div class="scroll">{_table(table)}</div>' for name, table in shown.items()]


def _table(table: Table) -> str:
    heads = "".join(f'<th class="{column.align}">{escape(column.name)}</th>' for column in table.columns)
    rows = []
    for row in table.rows:
        cells = (
            f'<td class="{_CELLS.get(cell, column.align)}">{escape(cell)}</td>'
            for cell, column in zip(row, table.columns, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _line(at: float, text: str) -> str:
    return f'<tr><td class="right">{at:.1f} s</td><td>{escape(text)}</td></tr>'


def _section(name: str, inner: str, element: str) -> str:
    return f'<h2>{name}</h2>\n<div class="scroll"><{element}>{inner}</{element}></div>' if inner else ""
