# SPDX-License-Identifier: Apache-2.0
"""Sections of a report: each is described once and written for the terminal, as Markdown and as HTML.

A new section is one function that returns a ``ReportSection``, listed with the others of its report
(``verification_sections.SECTIONS``).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.html_page import html_table
from tfs_deploy.report.tables import markdown_table, terminal_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from tfs_deploy.report.tables import Table

#: rows of a Markdown table; a pull request has no room for hundreds
_MARKDOWN_ROWS: Final = 30


class Medium(enum.Flag):
    """Where a section is shown."""

    TERMINAL = enum.auto()
    MARKDOWN = enum.auto()
    HTML = enum.auto()
    ALL = TERMINAL | MARKDOWN | HTML


@dataclass(frozen=True, slots=True)
class ReportSection:
    """One section of a report.

    Attributes:
        title: its heading on the page; the terminal and Markdown show none.
        table: its rows, if it has any.
        figure: HTML that the page shows above the table, such as a chart; all text in it is escaped.
        summary: the line under which Markdown and the page fold the table; empty: it is not folded.
        rows: what the rows are, for the line that counts those that Markdown leaves out.
        media: where it is shown.
    """

    title: str
    table: Table | None = None
    figure: str = ""
    summary: str = ""
    rows: str = ""
    media: Medium = Medium.ALL


def terminal_sections(sections: Iterable[ReportSection]) -> list[RenderableType]:
    """Return the tables to print on a terminal."""
    return [
        terminal_table(section.table)
        for section in sections
        if Medium.TERMINAL in section.media and section.table is not None
    ]


def markdown_sections(sections: Iterable[ReportSection]) -> list[str]:
    """Return the sections as Markdown, long tables cut."""
    return [
        _markdown(section, section.table)
        for section in sections
        if Medium.MARKDOWN in section.media and section.table is not None
    ]


def html_sections(sections: Iterable[ReportSection]) -> list[str]:
    """Return the sections as HTML."""
    return [_html(section) for section in sections if Medium.HTML in section.media]


def html_section(title: str, inner: str) -> str:
    """Return a section with a heading; ``inner`` is HTML."""
    return f"<section><h2>{escape(title)}</h2>\n{inner}</section>"


def html_details(summary: str, inner: str, *, is_open: bool = False) -> str:
    """Return HTML that is folded under one line."""
    return f"<details{' open' * is_open}><summary>{escape(summary)}</summary>{inner}</details>"


def _markdown(section: ReportSection, table: Table) -> str:
    shown = replace(table, rows=table.rows[:_MARKDOWN_ROWS])
    hidden = len(table.rows) - len(shown.rows)
    text = markdown_table(shown)
    if hidden:
        text += f"\nand {hidden} more {section.rows}".rstrip() + "\n"
    return f"<details><summary>{escape(section.summary)}</summary>\n\n{text}\n</details>" if section.summary else text


def _html(section: ReportSection) -> str:
    table = "" if section.table is None else html_table(section.table, stacks=True)
    if table and section.summary:
        table = html_details(section.summary, table)
    return html_section(section.title, section.figure + table)
