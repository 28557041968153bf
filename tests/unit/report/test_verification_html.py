# SPDX-License-Identifier: Apache-2.0
"""A verification as a page: everything in it, text never taken for markup."""

from __future__ import annotations

from support.verifications import MIXED, check, verification
from tfs_deploy.report.verification_html import verification_html
from tfs_deploy.verify.checks import CheckStatus


def test_the_page_holds_every_check_and_escapes_what_it_shows():
    page = verification_html(MIXED)
    assert "<b>&" not in page
    assert "y&lt;i&gt;" in page
    assert page.count("<svg") == 2
    assert page.count("smoke.recorded") >= 2
    for forbidden in ("<script", "http-equiv", "src=", "href=", "url(", "@import"):
        assert forbidden not in page
    passed = verification_html(verification(check("files.lint", CheckStatus.PASSED)))
    assert "Verdict: yes" in passed
    assert "What failed" not in passed
