# SPDX-License-Identifier: Apache-2.0
"""The tables of a verification."""

from __future__ import annotations

import pytest

from support.verifications import MIXED, check, verification
from tfs_deploy.report.verification_tables import groups_table, signatures_table, times_table, value_text
from tfs_deploy.verify.checks import CheckStatus


def test_groups_count_how_checks_ended():
    assert [row[:5] for row in groups_table(MIXED).rows] == [
        ("files", "", "1", "0", "0"),
        ("smoke", "embedded", "0", "1", "0"),
        ("parity", "embedded", "0", "0", "1"),
    ]


def test_the_slowest_checks_come_first_with_their_seconds():
    checks = [check(f"a.{number}", CheckStatus.PASSED, seconds=number / 10) for number in range(12)]
    rows = times_table(verification(*checks, check("a.11", CheckStatus.PASSED, seconds=2.0))).rows
    assert rows[0] == ("a.11", "2", "3.10", "2.00")
    assert [row[0] for row in rows] == [f"a.{number}" for number in range(11, 1, -1)]
    assert times_table(verification(check("a.b", CheckStatus.PASSED))).rows == ()


def test_signatures_carry_their_verdict():
    assert [row[-1] for row in signatures_table(MIXED).rows] == ["1 failed", ""]
    named = check("a.b", CheckStatus.FAILED, "3 rows: output 'y<i>' is NaN")
    assert [row[-1] for row in signatures_table(verification(named)).rows] == ["1 failed", "failed"]
    assert {row[-1] for row in signatures_table(verification(check("a.b", CheckStatus.PASSED))).rows} == {"ok"}
    assert {row[-1] for row in signatures_table(verification(check("a.b", CheckStatus.SKIPPED))).rows} == {"unproven"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "", ""),
        (3.0, "files", "3 files"),
        (0.12345, "s", "0.1235 s"),
        (2e-7, "", "2e-07"),
        (float("inf"), "", "inf"),
    ],
)
def test_values(value, unit, text):
    assert value_text(value, unit) == text
