# SPDX-License-Identifier: Apache-2.0
"""The page of a real verification in a real browser: everything is drawn, nothing is fetched, nobody complains."""

from __future__ import annotations

from pathlib import Path

from support.browser import Browser, find_browser
from tfs_deploy.report.verification_html import verification_html
from tfs_deploy.verify.groups.load_test import LoadSettings
from tfs_deploy.verify.run import VerificationPlan, verify
from tfs_deploy.verify.serving import verification_targets
from tfs_deploy.verify.subjects import Subject

MODEL = Path(__file__).parents[2] / "data/verify/plain/1"
SHAPES = (
    "[...document.querySelectorAll('svg')].map(e => [e.getAttribute('aria-label'), e.querySelectorAll('rect').length])"
)
SIZES = "[...document.querySelectorAll('svg rect')].every(e => e.getBoundingClientRect().height > 0)"

HEADS = "getComputedStyle(document.querySelector('.stacks thead')).display"
#: words of plots that reach beyond the edge of theirs
CUT = """[...document.querySelectorAll('svg text')].filter(e => {
  const [own, all] = [e.getBoundingClientRect(), e.ownerSVGElement.getBoundingClientRect()];
  return own.left < all.left - 0.5 || own.right > all.right + 0.5; }).map(e => e.textContent)"""


def test_the_page_shows_its_plots_without_network_and_without_errors(tmp_path):
    path = find_browser()
    plan = VerificationPlan(
        (Subject("plain", 1, MODEL),), tuple(verification_targets(None, (), None)), load=LoadSettings(0.4)
    )
    page = tmp_path / "report.html"
    page.write_text(verification_html(verify(plan)), encoding="utf-8")
    (tmp_path / "profile").mkdir()
    browser = Browser(path, tmp_path / "profile")
    try:
        for dark, width in ((False, 1100), (True, 1100), (False, 380)):
            browser.open(page, dark=dark, width=width)
            drawn = dict(browser.evaluate(SHAPES))
            assert drawn["Latency distribution"] > 3
            assert drawn["Value differences"] == 3
            assert browser.evaluate(SIZES)
            assert browser.evaluate("document.querySelectorAll('td.pass').length") > 3
            assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert browser.evaluate(HEADS) == ("none" if width < 640 else "table-header-group")
            assert browser.evaluate(CUT) == []
            assert browser.complaints() == []
            assert browser.requests() == [page.as_uri()]
    finally:
        browser.close()
