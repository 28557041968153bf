# SPDX-License-Identifier: Apache-2.0
"""The parts of every HTML page: one file without scripts and with nothing to fetch; all text in it is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.page_style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.report.tables import Table

#: text of a cell -> the CSS class that colours it
CELLS: Final = {
    "pass": "pass",
    "passed": "pass",
    "ok": "pass",
    "fail": "fail",
    "failed": "fail",
    "too few samples": "few",
    "not judged": "few",
    "skipped": "few",
    "unproven": "few",
}


def html_page(title: str, parts: Iterable[str], *, footer: str) -> str:
    """Return a page; ``parts`` are HTML, empty ones are left out."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        f"<footer>{escape(footer)}</footer>\n</body>\n</html>\n"
    )


def html_table(table: Table, *, stacks: bool = False) -> str:
    """Return a table that scrolls where it is too wide, or with ``stacks`` stacks its cells on a phone."""
    heads = "".join(f'<th class="{column.align}">{escape(column.name)}</th>' for column in table.columns)
    rows = []
    for row in table.rows:
        cells = (
            f'<td class="{_class(cell, column.align)}" data-head="{escape(column.name)}">{escape(cell)}</td>'
            for cell, column in zip(row, table.columns, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    whole = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="scroll{" stacks" if stacks else ""}"><table>{whole}</table></div>'


def _class(cell: str, align: str) -> str:
    return "fail" if cell.endswith(" failed") else CELLS.get(cell, align)
