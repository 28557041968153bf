# SPDX-License-Identifier: Apache-2.0
"""Sections: each is shown in its media only, folded and cut where it says so."""

from __future__ import annotations

from tfs_deploy.report.sections import Medium, ReportSection, html_sections, markdown_sections, terminal_sections
from tfs_deploy.report.tables import Table

TABLE = Table.of(["name"], [[f"<{number}>"] for number in range(40)])


def test_a_section_is_shown_in_its_media_only():
    sections = [
        ReportSection("everywhere", TABLE),
        ReportSection("page", TABLE, media=Medium.HTML),
        ReportSection("summary", TABLE, media=Medium.MARKDOWN),
        ReportSection("figure", figure="<svg></svg>", media=Medium.HTML),
    ]
    assert len(terminal_sections(sections)) == 1
    assert len(markdown_sections(sections)) == 2
    page = html_sections(sections)
    assert [part.partition("<h2>")[2].partition("</h2>")[0] for part in page] == ["everywhere", "page", "figure"]
    assert "&lt;39&gt;" in page[0]


def test_markdown_cuts_long_tables_and_folds_those_with_a_summary():
    (cut,) = markdown_sections([ReportSection("s", TABLE, rows="failed")])
    assert cut.endswith("\nand 10 more failed\n")
    (folded,) = markdown_sections([ReportSection("s", TABLE, summary="40 names")])
    assert folded.startswith("<details><summary>40 names</summary>\n\n| name")
    assert "<details><summary>40 names</summary>" in html_sections([ReportSection("s", TABLE, summary="40 names")])[0]
