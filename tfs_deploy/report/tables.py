"""Tables: described once, written for the terminal or as Markdown (as HTML: ``html_page``)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from tfs_deploy.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table as RichTable

Align = Literal["left", "right"]

#: the colour of a word in a verdict column
_TONES: Final = {"ok": "green", "pass": "green", "done": "green", "fail": "red", "DIFFERS": "red", "rolled back": "red"}


#: what ends a cell, or begins code or HTML (GFM 4.10, 6.1, 6.10)
_MARKUP: Final = re.compile(r"[\\|`<]")
#: the middle of a link or an image
_LINK: Final = re.compile(r"\]\(")


@dataclass(frozen=True, slots=True)
class Column:
    """The header of a column; numbers are aligned ``right``, words such as ``pass`` in a ``verdict`` column coloured.

    ``least``: the minimum width in characters on a narrow terminal.
    """

    name: str
    align: Align = "left"
    verdict: bool = False
    least: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of text; ``style`` names a colour for a row on a terminal (``red``), ``None`` for none."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    styles: tuple[str | None, ...] = field(default=())

    @classmethod
    def of(
        cls,
        columns: Sequence[Column | str],
        rows: Iterable[Sequence[Any]],
        *,
        title: str = "",
        styles: Iterable[str | None] = (),
    ) -> Table:
        """Return a table of any values; a bare column name is aligned left, ``None`` becomes an empty cell."""
        heads = tuple(column if isinstance(column, Column) else Column(column) for column in columns)
        cells = tuple(tuple("" if cell is None else str(cell) for cell in row) for row in rows)
        for row in cells:
            if len(row) != len(heads):
                raise ValueError(f"a row of {len(row)} cells in a table of {len(heads)} columns")
        return cls(heads, cells, title, tuple(styles))


def markdown_table(table: Table) -> str:
    """Return a table as GitHub Markdown, its columns padded so that it also reads well as plain text."""
    rows = [
        [markdown_text(column.name) for column in table.columns],
        *([markdown_text(cell) for cell in row] for row in table.rows),
    ]
    widths = [max(3, *(len(row[place]) for row in rows)) for place in range(len(table.columns))]
    lines = [_line(row, widths, table.columns) for row in rows]
    rule = [
        "-" * (width - 1) + ":" if column.align == "right" else "-" * width
        for width, column in zip(widths, table.columns, strict=True)
    ]
    lines.insert(1, f"| {' | '.join(rule)} |")
    title = f"**{markdown_text(table.title)}**\n\n" if table.title else ""
    return title + "\n".join(lines) + "\n"


def terminal_table(table: Table) -> RichTable:
    """Return a rich table; cells are literal text, never rich's markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    rich_table = RichTable(
        title=table.title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for column in table.columns:
        rich_table.add_column(Text(column.name), justify=column.align, overflow="fold", min_width=column.least or None)
    for place, row in enumerate(table.rows):
        style = table.styles[place] if place < len(table.styles) else None
        tones = [
            _TONES.get(cell, "") if column.verdict else "" for cell, column in zip(row, table.columns, strict=True)
        ]
        rich_table.add_row(*(Text(visible(cell), tone) for cell, tone in zip(row, tones, strict=True)), style=style)
    return rich_table


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    cells = [
        cell.rjust(width) if column.align == "right" else cell.ljust(width)
        for cell, width, column in zip(row, widths, columns, strict=True)
    ]
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Return text as one line of Markdown that shows what it says: no cell ends, no HTML, code, image or link in it."""
    return _LINK.sub("]\\\\(", _MARKUP.sub(r"\\\g<0>", one_line(visible(text))))
