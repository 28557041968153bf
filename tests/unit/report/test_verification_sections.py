"""A verification as tables, Markdown, JUnit and a page: everything in it, nothing of it taken for markup."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.report.junit import junit_xml
from tfs_deploy.report.value_charts import LimitBar, Sample, histogram, limits_chart
from tfs_deploy.report.verification import verdict_line, verification_markdown
from tfs_deploy.report.verification_html import verification_html
from tfs_deploy.report.verification_tables import groups_table, signatures_table, value_text
from tfs_deploy.store.identity import Identity
from tfs_deploy.verify.checks import Check, CheckStatus
from tfs_deploy.verify.measure.load_test_result import LoadTestResult
from tfs_deploy.verify.subjects import Subject
from tfs_deploy.verify.verification import Difference, Evidence, Verification

NASTY = 'no: <b>&"x"</b> | \x00 and \ud800'


def verification(*checks: Check) -> Verification:
    spec = TensorSpec("x", "float32", (None, 2))
    signature = SignatureInfo("serving_default", PREDICT_METHOD, {"x": spec}, {"y<i>": spec})
    evidence = Evidence(
        {"m 1": {"serving_default": signature}},
        [Difference("m 1", "embedded", "serving_default", "grpc and rest", "y<i>", 2e-7, 1e-6)],
        [LoadTestResult("m 1", "embedded", "4 callers", tuple(n / 1000 for n in range(1, 200)), 0, 2.0, 10**8, 0.5)],
    )
    subject = Subject("m", 1, Path("/models/m/1"))
    identity = Identity("0123456789abcdef", "manifest")
    return Verification((subject,), (identity,), ("embedded",), checks, evidence, "2026-01-01T00:00:00+00:00", 3.0)


def check(identity: str, status: CheckStatus, reason: str = "why", about: str = "serving_default", **more) -> Check:
    return Check(identity, "m 1", about, more.pop("target", "embedded"), status, reason, **more)


MIXED = verification(
    check("files.lint", CheckStatus.PASSED, target=""),
    check("smoke.recorded", CheckStatus.FAILED, NASTY, seconds=0.25, measured=1.5, unit="difference"),
    check("parity.grpc-rest", CheckStatus.SKIPPED, "no <REST>"),
)


def test_junit_has_a_case_for_every_check_and_is_xml_whatever_a_server_said():
    root = ET.fromstring(junit_xml(MIXED))
    assert root.attrib | {"tests": "3", "failures": "1", "skipped": "1"} == root.attrib
    cases = root.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == [
        *("files.lint [serving_default]", "smoke.recorded [serving_default]", "parity.grpc-rest [serving_default]")
    ]
    (failure,) = root.findall(".//failure")
    assert failure.attrib["message"] == 'no: <b>&"x"</b> | \ufffd and \ufffd'
    assert [suite.attrib["name"] for suite in root.findall("testsuite")] == ["m 1", "m 1 on embedded"]
    assert len(root.findall(".//skipped")) == 1


def test_markdown_says_the_verdict_first_and_keeps_tables_whole():
    text = verification_markdown(MIXED)
    assert text.splitlines()[:3] == ["## Verification of m 1", "", f"{verdict_line(MIXED)}."]
    assert "Verdict: no. 3 checks in 3.0 s: 1 passed, 1 failed, 1 skipped" in text
    rows = [line for line in text.splitlines() if line.startswith("| smoke.recorded")]
    assert len(rows) == 1
    assert "\\|" in rows[0]
    assert "<details><summary>1 checks were skipped</summary>" in text
    assert "m 1: manifest 0123456789ab" in text


def test_a_long_list_of_failures_is_cut_in_markdown():
    many = verification(*(check(f"smoke.{n}", CheckStatus.FAILED) for n in range(50)))
    assert "and 20 more failed" in verification_markdown(many)


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


def test_groups_count_how_checks_ended():
    assert [row[:5] for row in groups_table(MIXED).rows] == [
        ("files", "", "1", "0", "0"),
        ("smoke", "embedded", "0", "1", "0"),
        ("parity", "embedded", "0", "0", "1"),
    ]


def test_signatures_carry_their_verdict():
    assert {row[-1] for row in signatures_table(MIXED).rows} == {"1 failed"}
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


def test_plots_draw_what_there_is():
    assert histogram("t", " ms", []) == ""
    assert histogram("t", " ms", [Sample("a", "old", [])]) == ""
    drawn = histogram("t", " ms", [Sample("a", "old", [0.0, 0.0])], marks=[("p50", 0.0)])
    ET.fromstring(drawn)
    both = histogram("t", " ms", [Sample("a<", "old", [1.0, 2.0, 500.0]), Sample("b", "new", [1.0])])
    assert {rect.attrib["class"] for rect in ET.fromstring(both).iter("{http://www.w3.org/2000/svg}rect")} == {
        "old",
        "new",
    }
    assert limits_chart("t", []) == ""
    bars = ET.fromstring(
        limits_chart("t", [LimitBar("in", 1e-9, 1e-6), LimitBar("out", 1e-3, 1e-6), LimitBar("0", 0, 0)])
    )
    styles = [rect.attrib["class"] for rect in bars.iter("{http://www.w3.org/2000/svg}rect")]
    assert styles == ["old", "bad", "good"]
    assert [text.text for text in bars.iter("{http://www.w3.org/2000/svg}text")].count("equal") == 1
