# SPDX-License-Identifier: Apache-2.0
"""A rollout as tables and Markdown."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import VerdictError
from tfs_deploy.report import markdown_table, rollout_markdown, rollout_report, steps_table
from tfs_deploy.report.rollout import requests_line, summary
from tfs_deploy.rollout import GateVerdict, Plan, RolloutResult, Status, StepReport, Verdict, WindowSummary
from tfs_deploy.rollout.gates.request_stats import RequestCount
from tfs_deploy.rollout.machine.history import Event

WINDOWS = {
    "stable": WindowSummary(950, 0, 0.0011, 0.002, 0.003, 0.0034),
    "canary": WindowSummary(50, 2, 0.0012, 0.003, 0.004, 0.0048),
}


def report(**changes) -> StepReport:
    verdicts = (GateVerdict("golden", Verdict.PASS, "4 answers"), GateVerdict("errors", Verdict.FAIL, "2 of 50"))
    facts = {"number": 1, "weight": 5.0, "start": 10.0, "end": 13.0, "windows": WINDOWS, "verdicts": verdicts}
    return StepReport(**{**facts, "verdict": Verdict.FAIL, **changes})


def test_a_step_is_one_row():
    assert markdown_table(steps_table([report()])).splitlines()[2] == (
        "|        5 |     3.0 |              50 |      2 |    1.2 |      - "
        "|             950 |      0 |    1.1 |    3.4 | fail    |"
    )


def test_a_quantile_of_too_few_requests_is_a_dash():
    few = WindowSummary(9, 0, 0.001, 0.002, 0.002, 0.009)
    row = steps_table([report(windows={"canary": few, "stable": WindowSummary(500, 0, 0.001, 0.002, 0.002, 0.009)})])

    assert row.rows[0][2:10] == ("9", "0", "-", "-", "500", "0", "1.0", "9.0")


def test_a_label_without_requests_has_empty_latencies():
    row = steps_table([report(windows={"canary": WINDOWS["canary"]})]).rows[0]

    assert row[6:10] == ("0", "0", "", "")


def test_without_any_request_counts_their_columns_are_left_out():
    table = steps_table([report(windows={})])

    assert [column.name for column in table.columns] == ["canary %", "seconds", "verdict"]


def test_the_headline_counts_what_failed_between_the_steps():
    counted = {"stable": RequestCount(1150, 9), "canary": RequestCount(70, 4)}
    result = RolloutResult("digits", 1, 2, Status.DONE, "", (report(),), 4.2, counted=counted, synthetic=True)

    assert summary(result) == ("Done after 4.2 s, 13 of 1220 requests of synthetic load failed (11 outside the steps)")
    assert requests_line(result) == (
        "synthetic load: 1000 in the steps (2 failed), 220 outside them (11 failed), 1220 in all (13 failed)"
    )


def test_the_headline_says_that_nothing_was_seen():
    result = RolloutResult("digits", 1, 2, Status.DONE, "", (report(windows={}),), 4.2, judges_traffic=True)

    assert summary(result) == "Done after 4.2 s, no request was seen"


def test_the_markdown_says_how_it_ended_and_why():
    reason = "step 5 %: errors gate: 2 of 50"
    text = rollout_markdown(RolloutResult("digits", 1, 2, Status.ROLLED_BACK, reason, (report(),), 4.2, ("a note",)))

    assert text.startswith(
        "## Rollout of digits: version 1 to 2\n\nRolled back after 4.2 s, 2 of 1000 requests failed: "
    )
    assert "| errors | fail    | 2 of 50   |" in text
    assert text.endswith("- a note\n")


def test_a_refused_version_reads_as_such_and_keeps_its_status():
    plan = Plan("digits", 1, 2)
    reason = "version 2 has no recorded answers"
    found = {"passed": False, "reason": reason, "notes": ["no manifest"], "allowed_by": ["--allow-missing-goldens"]}
    end = {"status": "rolled back", "reason": f"preflight: {reason}", "refused": True}
    events = [Event("start"), Event("outcome", "preflight", True, found), Event("finish", "", True, end)]

    result = RolloutResult.from_events(plan, events)

    assert (result.status, result.refused, result.as_dict()["refused"]) == (Status.ROLLED_BACK, True, True)
    assert summary(result) == f"Refused: nothing was changed: preflight: {reason}"
    with pytest.raises(VerdictError) as caught:
        result.check()
    assert caught.value.message == (
        f"rollout of digits from version 1 to 2 refused: nothing was changed: preflight: {reason}"
    )
    assert str(caught.value.hint).endswith("repeat rollout start with --allow-missing-goldens")
    result.check(Status.ROLLED_BACK)  # what an abort wants
    assert rollout_report(plan, events).count(reason) == 1
