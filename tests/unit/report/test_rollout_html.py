# SPDX-License-Identifier: Apache-2.0
"""A rollout over time: phases, plots, the Markdown page and the HTML page."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.report import arms_table, rollout_html, rollout_report
from tfs_deploy.report.time_charts import WIDTH, Bar, Series, bar_chart, line_chart, nice_ticks
from tfs_deploy.report.timeline import timeline
from tfs_deploy.rollout import Plan, RolloutResult, StepReport, Verdict, WindowSummary
from tfs_deploy.rollout.gates.gate import GateVerdict
from tfs_deploy.rollout.machine.history import Event

PLAN = Plan("digits", 1, 2, steps=(5.0, 100.0), bake=30.0)


def window(count: int, errors: int, p50: float) -> WindowSummary:
    return WindowSummary.of([p50] * (count - errors), errors)


def judged(at: float, number: int, verdict: Verdict, *, final: bool, errors: int = 0) -> Event:
    windows = {"stable": window(900, 0, 0.010), "canary": window(100, errors, 0.012)}
    verdicts = (GateVerdict("errors", verdict, f"{errors} of 100 <requests> failed"),)
    report = StepReport(number, PLAN.steps[number - 1], 0.0, at, windows, verdicts, verdict)
    detail = {**report.as_dict(), "step": number - 1, "final": final, "reason": "", "baseline": {}}
    return Event("outcome", "judge", detail=detail, at=1000 + at)


def story() -> list[Event]:
    """Forward through one step, back in the second, with a clock that jumps back in between."""

    def did(at: float, action: str, **detail) -> list[Event]:
        return [
            Event("intend", action, detail=detail, at=1000 + at),
            Event("outcome", action, detail=detail, at=1000 + at),
        ]

    return [
        Event("start", detail={"plan": PLAN.as_dict()}, at=1000.0),
        *did(0.1, "preflight", passed=True, reason="", notes=["no <manifest>"]),
        *did(0.2, "load", stale_failure=False),
        *did(2.0, "smoke", passed=True, reason="2 answers as expected"),
        *did(2.5, "label"),
        *did(3.0, "weigh", step=0, memory=None),
        judged(8.0, 1, Verdict.PASS, final=False),
        judged(33.0, 1, Verdict.PASS, final=True),
        *did(33.0, "weigh", step=1, memory=None),
        judged(38.0, 2, Verdict.FAIL, final=False, errors=50),
        *did(20.0, "withdraw", reason="errors"),  # the wall clock was set back
        *did(39.0, "isolate"),
        *did(39.5, "calm"),
        *did(40.0, "unload"),
        Event("finish", detail={"status": "rolled back", "reason": "step 100 %: errors <gate>"}, at=1041.0),
    ]


def test_the_phases_follow_each_other_without_gaps():
    segments = timeline(PLAN, story()).segments

    assert [entry.phase for entry in segments] == [
        *("preflight", "load", "smoke", "label", "5 %", "100 %", "rollback"),
    ]
    assert all(first.end == second.start for first, second in itertools.pairwise(segments))
    assert segments[4].seconds == pytest.approx(30.0)
    assert segments[-1].start == 38.0  # time does not run backwards


def test_the_traffic_of_the_canary_over_time():
    assert timeline(PLAN, story()).traffic == ((0.0, 0.0), (3.0, 5.0), (33.0, 100.0), (39.0, 0.0), (39.5, 0.0))


def test_the_page_is_whole_and_needs_nothing_else():
    page = rollout_html(PLAN, story())

    parser = Checker()
    parser.feed(page)
    assert parser.open == []
    assert "no &lt;manifest&gt;" in page
    assert "<requests>" not in page
    assert not re.search(r"(src|href)=|<script|url\(|@import", page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert page.count("<svg ") == page.count('<div class="plot"><svg ') > 0  # which scroll on a narrow screen
    assert page.count('class="scroll stacks"') >= 2
    assert '<span class="status rolled-back">Rolled back after 41.0 s' in page
    for heading in ("Phases", "Traffic of the new version", "Failed requests", "Latency, median", "Gates", "Journal"):
        assert f"<h2>{heading}</h2>" in page


def test_a_day_of_judgements_makes_no_heavy_page_and_hides_no_failure():
    events = [*story()[:-1]]
    events[-6:] = [judged(38.0 + place, 2, Verdict.PASS, final=False) for place in range(2_000)]
    events.insert(1_001, judged(1_000.0, 2, Verdict.FAIL, final=False, errors=77))

    page = rollout_html(PLAN, events)

    assert len(page) < 300_000
    assert page.count("<circle") < 6 * 160
    assert page.count(" s: 77 %") == 1
    assert "version 2, 2037.0 s: 0 %" in page


class Checker(HTMLParser):
    """Remembers which elements are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_rollout_that_has_just_begun_has_a_page_too():
    page = rollout_html(PLAN, story()[:1])

    assert "Running after 0.0 s" in page
    assert "<h2>Gates</h2>" not in page


def test_the_markdown_page_tells_all():
    text = rollout_report(PLAN, story())

    assert "| canary % |" in text
    assert re.search(r"\| 5 % +\| +3\.0 \| +30\.0 \|", text)
    assert "       3.0 s  5 % of the traffic goes to canary" in text
    assert "rolled back: step 100 %: errors <gate>" in text


def test_the_arms_of_an_experiment_and_whether_they_really_differ():
    steps = RolloutResult.from_events(PLAN, story()).steps

    rows = arms_table(steps[-1]).rows

    assert rows[0] == ("failed", "stable", "900", "0 %", "0 to 0.425", "", "", "")
    assert rows[1][:4] + rows[1][5:6] + rows[1][7:] == ("failed", "canary", "100", "50 %", "+50 %", "yes")
    assert rows[3][:4] + rows[3][5:6] + rows[3][7:] == ("latency", "canary", "50", "12 ms", "+2 ms", "yes")
    assert arms_table(StepReport(1, 5.0, 0.0, 1.0, {}, (), Verdict.PASS)) is None


def test_plots_stay_within_their_frame():
    series = [Series("a", "old", ((0.0, 1.0), (5.0, 7.0), (12.0, 3.0))), Series("b", "new", (), steps=True)]
    root = ET.fromstring(line_chart("Latency <ms>", " ms", series, 10.0))

    width, height = map(float, root.get("viewBox").split()[2:])
    assert width == WIDTH
    points = [tuple(map(float, pair.split(","))) for line in root.iter() for pair in (line.get("points") or "").split()]
    assert len(points) == 3
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert points[1][1] < points[2][1] < points[0][1]  # a higher value is further up
    assert line_chart("nothing", "", [Series("a", "old", ())], 10.0) == ""


def test_bars_are_as_long_as_their_phases():
    root = ET.fromstring(bar_chart("Phases", [Bar("load", "plain", 0.0, 30.0), Bar("5 %", "new", 30.0, 90.0)], 90.0))

    widths = [float(bar.get("width")) for bar in root.iter() if bar.tag.endswith("rect")]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.01)


@given(st.floats(1e-9, 1e12))
def test_ticks_are_few_and_reach_the_top(top):
    ticks = nice_ticks(top)

    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-6)
    assert 3 <= len(ticks) <= 6


@pytest.mark.parametrize("seconds", [0.0, 5.0, 500.0, 50_000.0])
def test_long_rollouts_have_minutes_and_hours_on_their_axis(seconds):
    chart = line_chart("x", "", [Series("a", "old", ((0.0, 1.0),))], seconds)

    unit = {0.0: "s", 5.0: "s", 500.0: "min", 50_000.0: "h"}[seconds]
    assert f" {unit}</text>" in chart
