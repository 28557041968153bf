# SPDX-License-Identifier: Apache-2.0
"""The page of a rollout in a real browser: everything is drawn, nothing is fetched, nobody complains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import Browser, find_browser
from tfs_deploy.report import rollout_html
from tfs_deploy.rollout import Plan, StepReport, Verdict, WindowSummary
from tfs_deploy.rollout.gates.gate import GateVerdict
from tfs_deploy.rollout.machine.history import Event

PLAN = Plan("digits", 1, 2, steps=(5.0, 100.0), bake=30.0)
SIZES = "[...document.querySelectorAll('{}')].map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(find_browser(), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def did(at: float, action: str, **detail) -> list[Event]:
    return [Event(kind, action, detail=detail, at=1000 + at) for kind in ("intend", "outcome")]


def judged(at: float, number: int, verdict: Verdict, errors: int) -> Event:
    windows = {
        "stable": WindowSummary.of([0.010] * 900, 0),
        "canary": WindowSummary.of([0.012] * (1000 - errors), errors),
    }
    verdicts = (GateVerdict("errors", verdict, f"{errors} of 1000 requests failed"),)
    report = StepReport(number, PLAN.steps[number - 1], at - 10, at, windows, verdicts, verdict)
    detail = {**report.as_dict(), "step": number - 1, "final": True, "reason": "", "baseline": {}}
    return Event("outcome", "judge", detail=detail, at=1000 + at)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rollout that was sent back in its second step."""
    events = [
        Event("start", detail={"plan": PLAN.as_dict()}, at=1000.0),
        *did(0.1, "preflight", passed=True, reason="", notes=["no manifest"]),
        *did(0.2, "load", stale_failure=False),
        *did(3.0, "weigh", step=0, memory=None),
        judged(13.0, 1, Verdict.PASS, 0),
        *did(13.0, "weigh", step=1, memory=None),
        judged(23.0, 2, Verdict.FAIL, 50),
        *did(23.0, "withdraw", reason="errors"),
        *did(23.5, "calm"),
        Event("finish", detail={"status": "rolled back", "reason": "step 100 %: errors gate"}, at=1024.0),
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(rollout_html(PLAN, events))
    return path


@pytest.mark.parametrize("dark", [False, True])
def test_plots_are_drawn_and_nothing_is_fetched(browser, page, dark):
    browser.open(page, dark=dark)

    plots = browser.evaluate(SIZES.format("svg"))
    assert len(plots) == 5  # phases, traffic, failed requests, two latencies
    assert all(width > 500 and height > 100 for width, height in plots)
    lines = browser.evaluate(SIZES.format("polyline"))
    assert len(lines) == 7
    assert all(width > 50 for width, _ in lines)
    assert len(browser.evaluate(SIZES.format("circle"))) == 12
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


def test_words_stand_out_from_the_background_in_light_and_dark(browser, page):
    color = "getComputedStyle(document.body).{}.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    for dark in (False, True):
        browser.open(page, dark=dark)
        ink, paper = (browser.evaluate(color.format(name)) for name in ("color", "backgroundColor"))
        assert abs(ink - paper) > 400, (dark, ink, paper)


def test_nothing_is_wider_than_a_narrow_window(browser, page):
    browser.open(page, width=420)
    assert browser.evaluate("window.innerWidth") == 420
    assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
