# SPDX-License-Identifier: Apache-2.0
"""A verification as Markdown: verdict first, tables whole, text never taken for markup."""

from __future__ import annotations

from support.verifications import MIXED, check, verification
from tfs_deploy.report.verification import skipped_lines, verdict_line, verification_markdown
from tfs_deploy.verify.checks import CheckStatus


def test_markdown_says_the_verdict_first_and_keeps_tables_whole():
    text = verification_markdown(MIXED)
    assert text.splitlines()[:3] == ["## Verification of m 1", "", f"{verdict_line(MIXED)}."]
    assert "Verdict: no. 3 checks in 3.0 s: 1 passed, 1 failed, 1 skipped" in text
    rows = [line for line in text.splitlines() if line.startswith("| smoke.recorded")]
    assert len(rows) == 1
    assert "\\|" in rows[0]
    assert "<details><summary>1 check was skipped</summary>" in text
    assert "m 1: manifest 0123456789ab" in text


def test_a_long_list_of_failures_is_cut_in_markdown():
    many = verification(*(check(f"smoke.{n}", CheckStatus.FAILED) for n in range(50)))
    assert "and 20 more failed" in verification_markdown(many)


def test_what_was_skipped_is_named_with_the_reason():
    once, other = check("smoke.rest", CheckStatus.SKIPPED), check("smoke.label", CheckStatus.SKIPPED)
    told = skipped_lines(verification(once, other, check("files.lint", CheckStatus.PASSED), once))
    assert told == [f"skipped: smoke.rest (2 times): {once.reason}", f"skipped: {other}"]
    assert skipped_lines(verification(check("files.lint", CheckStatus.PASSED))) == []
