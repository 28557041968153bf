# SPDX-License-Identifier: Apache-2.0
"""What smoke checks prove, summed up: recorded answers, made-up inputs, what was skipped and why."""

from __future__ import annotations

import pytest

from tfs_deploy.rollout.adapters.version_checks import VersionChecks
from tfs_deploy.smoke.results import (
    ANSWERS,
    AS_RECORDED,
    MADE_UP_REFUSED,
    NO_RECORDED,
    Outcome,
    SmokeCheck,
    Target,
    skipped_notes,
    summary,
)

REFUSED = f"{NO_RECORDED}, and {MADE_UP_REFUSED}: x must be positive"


def check(name: str, outcome: Outcome = Outcome.OK, detail: str = "", transport: str = "grpc") -> SmokeCheck:
    return SmokeCheck("m", "version 2", transport, name, outcome, detail)


RECORDED = [check(ANSWERS), check("a", detail=AS_RECORDED), check("a #2", detail=AS_RECORDED)]
TOLD = "1 answer to made-up inputs, which nothing recorded confirms, 1 skipped because made-up inputs were refused"
MADE_UP = [
    check(ANSWERS, detail=NO_RECORDED),
    check("a", detail="made-up inputs"),
    check("b", Outcome.SKIPPED, REFUSED),
]


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        (RECORDED, "1 signature of 1 model: 2 answers as recorded, 0 failed"),
        (MADE_UP, f"2 signatures of 1 model: {TOLD}, 0 failed"),
        ([check(ANSWERS, Outcome.FAILED, "no answer")], "0 signatures of 1 model: no recorded answers, 1 failed"),
    ],
)
def test_a_report_ends_with_what_it_proves(checks, told):
    assert summary(checks) == told


@pytest.mark.parametrize(
    ("checks", "told"),
    [
        (RECORDED, "2 answers as expected"),
        ([*RECORDED, check("b", Outcome.SKIPPED, "the REST API cannot carry x")], "2 answers as expected, 1 skipped"),
        (MADE_UP, f"no recorded answers; {TOLD}"),
        ([check(ANSWERS, detail=NO_RECORDED)], "no recorded answers"),
    ],
)
def test_a_rollout_claims_no_answers_that_nothing_recorded_confirms(monkeypatch, tmp_path, checks, told):
    monkeypatch.setattr("tfs_deploy.rollout.adapters.version_checks.smoke_target", lambda *_: iter(checks))
    result = VersionChecks(None, "m", tmp_path, {"": {}}).ask(Target(version=2))

    assert (result.ok, result.reason) == (True, told)


def test_the_same_reason_is_told_once_with_a_count():
    skips = [check(name, Outcome.SKIPPED, REFUSED, over) for name in ("a", "b") for over in ("grpc", "rest")]
    other = check("c", Outcome.SKIPPED, "the REST API cannot carry x")

    assert skipped_notes([*skips, other]) == [f"m version 2, grpc a: skipped: {REFUSED} (and 3 more)", str(other)]
