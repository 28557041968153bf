# SPDX-License-Identifier: Apache-2.0
"""A rollout as one HTML page without scripts, other files or network access."""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.html_page import CELLS, html_page, html_table
from tfs_deploy.report.rollout import arms_table, milliseconds, steps_table, summary, verdicts_table
from tfs_deploy.report.sections import html_details, html_section
from tfs_deploy.report.time_charts import Bar, Series, bar_chart, line_chart
from tfs_deploy.report.timeline import timeline
from tfs_deploy.rollout.gates.gate import Verdict
from tfs_deploy.rollout.machine.phases import ROLLBACK
from tfs_deploy.rollout.machine.strategies import SHADOW
from tfs_deploy.rollout.result import RolloutResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.report.timeline import TimedJudgement, Timeline
    from tfs_deploy.rollout.gates.request_stats import WindowSummary
    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.rollout.result import StepReport

#: about how many judgements a chart shows
_MOST: Final = 150
_MARKS: Final = {
    Verdict.PASS: "&#10003;",
    Verdict.FAIL: "&#10007;",
    Verdict.TOO_FEW: "&#8230;",
    Verdict.NOT_JUDGED: "&#8230;",
}


def rollout_html(plan: RolloutPlan, events: Sequence[Event]) -> str:
    """Return a rollout as a page: phases, traffic, errors and latency of both versions, gates, journal."""
    result, time = RolloutResult.from_events(plan, events), timeline(plan, events)
    title = f"Rollout of {plan.model}: version {plan.old} to {plan.new}"
    status = result.status.value.replace(" ", "-")
    notes = "".join(f"<li>{escape(note)}</li>" for note in result.notes)
    journal = "".join(_line(at, text) for at, text in time.lines)
    parts = [
        f"<header><h1>{escape(title)}</h1>",
        f'<p><span class="status {status}">{escape(summary(result))}</span></p>',
        f'<p class="key">{escape(_facts(plan, events))}</p></header>',
        _tiles(plan, result),
        _plots(plan, time),
        *_tables(result),
        html_section("Notes", f"<ul>{notes}</ul>") if notes else "",
        html_section("Journal", f'<div class="scroll"><table>{journal}</table></div>') if journal else "",
    ]
    return html_page(title, parts, footer="tfs-deploy rollout report")


def _facts(plan: RolloutPlan, events: Sequence[Event]) -> str:
    begun = datetime.fromtimestamp(events[0].at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC") if events else ""
    steps = ", ".join(f"{step:g}" for step in plan.steps)
    direct = "rollback" if plan.back else "direct switch"
    how = f"{plan.strategy} through {steps} %, each watched for {plan.bake:g} s" if steps else direct
    return f"started {begun}; {how}"


def _tiles(plan: RolloutPlan, result: RolloutResult) -> str:
    """Return the few numbers that readers look for first."""
    passed = sum(step.verdict is Verdict.PASS for step in result.steps)
    total, load = result.total, " of synthetic load" if result.synthetic else ""
    tiles = [(f"{result.seconds:.1f} s", "from start to end", False)]
    if plan.steps:
        tiles.append((f"{passed} of {len(plan.steps)}", "steps passed", passed < len(result.steps)))
    if total.requests:
        tiles.append((f"{total.requests:,}", f"requests{load}", False))
        tiles.append((f"{total.errors:,}", "requests failed", total.errors > 0))
    beside = [step for step in result.steps if step.weight < 100] or list(
        result.steps
    )  # steps in which both versions had requests
    for label, version in ((plan.canary, plan.new), (plan.stable, plan.old)):
        found = [window for step in beside if (window := step.windows.get(label)) and window.tells("p99")]
        if found:
            tiles.append((f"{milliseconds(found[-1].p99)} ms", f"p99 of version {version}", False))
    cells = (
        f'<div class="tile{" bad" if bad else ""}"><b>{escape(value)}</b><span>{escape(what)}</span></div>'
        for value, what, bad in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _plots(plan: RolloutPlan, time: Timeline) -> str:
    bars = [Bar(entry.phase, _bar_style(entry.phase), entry.start, entry.end) for entry in time.segments]
    bands = [bar for bar in bars if bar.style in ("new", "bad")]
    copied = plan.strategy == SHADOW
    what = "Requests copied to the new version, then served by it" if copied else "Traffic of the new version"
    traffic = [Series(f"version {plan.new}", "new", time.traffic, steps=True)]
    seconds = time.seconds

    def lines(name: str, unit: str, field: str) -> str:
        return line_chart(name, unit, _lines(plan, time, field), seconds, bands=bands)

    plots = {
        "Phases": bar_chart("Phases over time", bars, seconds) if bars else "",
        what: line_chart(what, " %", traffic, seconds, top=100.0, bands=bands),
        "Failed requests": lines("Failed requests", " %", "errors"),
        "Latency, median": lines("Median latency", " ms", "p50"),
        "Latency, 99th percentile": lines("99th percentile", " ms", "p99"),
    }
    key = (
        f'<p class="key"><b class="old">&#9632;</b> version {plan.old} ({escape(plan.stable)}) '
        f'<b class="new">&#9632;</b> version {plan.new} ({escape(plan.canary)}); numbers of a step so far, '
        "at each judgement</p>"
    )
    drawn = [f'<h2>{escape(name)}</h2>\n<div class="plot">{plot}</div>' for name, plot in plots.items() if plot]
    over_time = "\n".join(drawn[:2])
    measured = "\n".join([*drawn[2:], key])
    return "\n".join(f"<section>{part}</section>" for part in (over_time, measured if drawn[2:] else "") if part)


def _bar_style(phase: str) -> str:
    if phase == ROLLBACK:
        return "bad"
    if phase.endswith("%"):
        return "new"
    return "good" if phase == "promote" else "plain"


def _lines(plan: RolloutPlan, time: Timeline, what: str) -> list[Series]:
    found = []
    for label, style, version in ((plan.stable, "old", plan.old), (plan.canary, "new", plan.new)):
        points, dots = _points(time.judged, label, what)
        found.append(Series(f"version {version}", style, tuple(points), dots=tuple(dots)))
    return found


def _points(
    judged: Sequence[TimedJudgement], label: str, what: str
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the points of a line, and those of them that were measured; a step's line begins with its window."""
    points: list[tuple[float, float]] = []
    dots: list[tuple[float, float]] = []
    step = 0
    for entry in _some(judged):
        window = entry.report.windows.get(label)
        value = None if window is None or not window.requests else _value(window, what)
        if value is None:
            continue
        if entry.report.number != step:
            step = entry.report.number
            before = points[-1][0] if points else 0.0
            points.append((max(before, entry.at - entry.report.seconds), value))
        points.append((entry.at, value))
        dots.append((entry.at, value))
    return points, dots


def _some(judged: Sequence[TimedJudgement]) -> Sequence[TimedJudgement]:
    """Return the judgements to show: of a long rollout some, but each that did not pass and the last of each step."""
    apart = len(judged) // _MOST + 1
    return [
        entry
        for place, entry in enumerate(judged)
        if place % apart == 0
        or entry.report.verdict is not Verdict.PASS
        or place + 1 == len(judged)
        or judged[place + 1].report.number != entry.report.number
    ]


def _value(window: WindowSummary, what: str) -> float | None:
    if what == "errors":
        return 100 * window.error_rate
    return 1000 * getattr(window, what) if window.tells(what) else None


def _tables(result: RolloutResult) -> list[str]:
    if not result.steps:
        return []
    arms = arms_table(result.steps[-1])
    reasons = html_details(
        "Reasons of each gate", html_table(verdicts_table(result.steps), stacks=True), is_open=not result.done
    )
    shown = {"Steps": html_table(steps_table(result.steps), stacks=True), "Gates": _matrix(result.steps) + reasons}
    if arms is not None:
        shown["Comparison of the versions in the last step"] = html_table(arms, stacks=True)
    return [html_section(name, inner) for name, inner in shown.items()]


def _matrix(steps: Sequence[StepReport]) -> str:
    """Return a table of each gate's verdict for each step, with its reason as a tooltip."""
    gates = list(dict.fromkeys(entry.gate for step in steps for entry in step.verdicts))
    heads = "".join(f"<th>{step.weight:g} %</th>" for step in steps)
    rows = []
    for gate in gates:
        cells = []
        for step in steps:
            found = [entry for entry in step.verdicts if entry.gate == gate]
            text = "".join(
                f'<td class="{CELLS[entry.verdict.value]}" title="{escape(entry.reason)}">{_MARKS[entry.verdict]}</td>'
                for entry in found
            )
            cells.append(text or "<td></td>")
        rows.append(f"<tr><td>{escape(gate)}</td>{''.join(cells)}</tr>")
    whole = f"<thead><tr><th>gate</th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll"><table class="matrix">{whole}</table></div>'


def _line(at: float, text: str) -> str:
    return f'<tr><td class="right">{at:.1f} s</td><td>{escape(text)}</td></tr>'
