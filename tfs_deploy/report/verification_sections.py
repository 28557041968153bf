# SPDX-License-Identifier: Apache-2.0
"""The sections of a verification's reports, in their order: one function each, listed in ``SECTIONS``."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.sections import Medium, ReportSection
from tfs_deploy.report.value_charts import LimitBar, Sample, histogram, limits_chart
from tfs_deploy.report.verification_tables import (
    checks_table,
    differences_table,
    groups_table,
    load_tests_table,
    problems_table,
    signatures_table,
    times_table,
)
from tfs_deploy.text import counted
from tfs_deploy.verify.checks import CheckStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.measure.load_test_result import LoadTestResult
    from tfs_deploy.verify.verification import ValueDifference, Verification

#: bars of one chart; the table holds what is not drawn
_MOST_BARS: Final = 24
_MARKS: Final = ("p50", "p99")


def verification_sections(verification: Verification) -> list[ReportSection]:
    """Return the sections for which the verification holds something."""
    return [section for make in SECTIONS if (section := make(verification)) is not None]


def _findings_section(verification: Verification) -> ReportSection | None:
    if not verification.failed:
        return None
    return ReportSection("What failed", figure=_findings(verification.failed), media=Medium.HTML)


def _failed_checks_section(verification: Verification) -> ReportSection | None:
    if not verification.failed:
        return None
    return ReportSection("What failed", checks_table(verification.failed), rows="failed", media=Medium.MARKDOWN)


def _groups_section(verification: Verification) -> ReportSection:
    return ReportSection("Groups of checks", groups_table(verification))


def _times_section(verification: Verification) -> ReportSection | None:
    table = times_table(verification)
    return ReportSection("Seconds by check", table, media=Medium.TERMINAL | Medium.HTML) if table.rows else None


def _load_tests_section(verification: Verification) -> ReportSection | None:
    results = verification.evidence.load_tests
    if not results:
        return None
    return ReportSection("Latency distribution", load_tests_table(results), figure=_latencies(results))


def _differences_section(verification: Verification) -> ReportSection | None:
    differences = verification.evidence.differences
    if not differences:
        return None
    return ReportSection(
        "Value differences",
        differences_table(differences),
        figure=_differences(differences),
        summary=f"all {len(differences)}",
        media=Medium.HTML,
    )


def _signatures_section(verification: Verification) -> ReportSection | None:
    if not verification.evidence.signatures:
        return None
    return ReportSection("Signatures", signatures_table(verification), media=Medium.HTML)


def _skipped_checks_section(verification: Verification) -> ReportSection | None:
    skipped = [check for check in verification.checks if check.status is CheckStatus.SKIPPED]
    if not skipped:
        return None
    summary = f"{counted(len(skipped), 'check')} {'was' if len(skipped) == 1 else 'were'} skipped"
    return ReportSection("Skipped checks", checks_table(skipped), summary=summary, media=Medium.MARKDOWN)


def _all_checks_section(verification: Verification) -> ReportSection:
    summary = counted(len(verification.checks), "check")
    return ReportSection("Every check", checks_table(verification.checks), summary=summary, media=Medium.HTML)


def _problems_section(verification: Verification) -> ReportSection | None:
    """Return what failed, the last table on a terminal, where the reader looks first."""
    if not verification.failed:
        return None
    return ReportSection("What failed", problems_table(verification.failed), media=Medium.TERMINAL)


SECTIONS: Final[tuple[Callable[[Verification], ReportSection | None], ...]] = (
    _findings_section,
    _failed_checks_section,
    _groups_section,
    _times_section,
    _load_tests_section,
    _differences_section,
    _signatures_section,
    _skipped_checks_section,
    _all_checks_section,
    _problems_section,
)


def _findings(checks: Sequence[Check]) -> str:
    """Return a list of what failed: the check, where, and the whole reason."""
    items = []
    for check in checks:
        where = ", ".join(part for part in (check.model, check.about, check.target) if part)
        place = f'<span class="key">{escape(where)}</span>'
        items.append(f"<li><b>{escape(check.id)}</b>{place}<p>{escape(check.reason)}</p></li>")
    return f'<ul class="findings">{"".join(items)}</ul>'


def _latencies(results: Sequence[LoadTestResult]) -> str:
    styles = ("old", "new", "plain")
    samples = [
        Sample(f"{each.model} on {each.target}, {each.what}", styles[number % 3], [1000 * s for s in each.latencies])
        for number, each in enumerate(results[:3])
    ]
    first = results[0]
    marks = [(name, 1000 * value) for name in _MARKS if (value := first.quantile(name)) is not None]
    key = "".join(f'<b class="{sample.style}">&#9632;</b> {escape(sample.name)} ' for sample in samples)
    return f'<p class="key">{key}</p>\n' + _plot(histogram("Latency distribution", " ms", samples, marks=marks))


def _differences(differences: Sequence[ValueDifference]) -> str:
    """Return a chart of the outputs that come closest to their limit, or exceed it."""
    worst = sorted(differences, key=lambda each: each.largest / each.allowed if each.allowed else 0, reverse=True)
    rows = [
        LimitBar(f"{each.about}: {each.output} ({each.between})", each.largest, each.allowed)
        for each in worst[:_MOST_BARS]
    ]
    key = "largest difference of each output between two transports; the line marks what is allowed"
    return f'<p class="key">{key}</p>\n' + _plot(limits_chart("Value differences", rows))


def _plot(svg: str) -> str:
    return f'<div class="plot">{svg}</div>'
