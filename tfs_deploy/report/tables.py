# SPDX-License-Identifier: Apache-2.0
"""Tables: described once, written for the terminal or as Markdown (as HTML: ``html_page``)."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from tfs_deploy.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table as RichTable

Align = Literal["left", "right"]

#: the colour of a word in a verdict column
_TONES: Final = {
    **dict.fromkeys(("ok", "pass", "done"), "green"),
    **dict.fromkeys(("fail", "DIFFERS", "rolled back", "refused"), "red"),
}
#: how narrow a column of more than one word becomes, in characters
_READABLE: Final = 16
#: the indent of a cell that does not fit beside its header
_INDENT: Final = 2
#: wider than any terminal
_UNLIMITED: Final = 100_000


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


def terminal_table(table: Table, *, ruled: bool = True) -> RenderableType:
    """Return what a rich console prints of a table; cells are literal text, never rich's markup.

    Where the terminal is too narrow for whole words side by side, each row is a list of its cells. ``ruled``: with a
    line below the header.
    """
    return _TerminalTable(table, ruled)


@dataclass(frozen=True, slots=True)
class _TerminalTable:
    """Decides on its form when the width of the console is known."""

    table: Table
    ruled: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        found = [_widths(self.table, place) for place in range(len(self.table.columns))]
        natural = _rich_table(self.table, [most for _, most in found], ruled=self.ruled)
        unlimited = options.update(max_width=_UNLIMITED)
        beside = console.measure(natural, options=unlimited).maximum - sum(most for _, most in found)
        room = options.max_width - beside
        if sum(least for least, _ in found) > room:
            yield from _stacked(self.table, options.max_width)
        else:
            yield _rich_table(self.table, _shared(found, room), ruled=self.ruled)


def _widths(table: Table, place: int) -> tuple[int, int]:
    """Return how many characters a column takes at least, with whole words, and at most."""
    from rich.cells import cell_len

    column = table.columns[place]
    texts = [column.name, *(visible(row[place]) for row in table.rows)]
    longest = max((cell_len(line) for text in texts for line in text.splitlines()), default=0)
    word = max((cell_len(word) for text in texts for word in text.split()), default=0)
    return max(word, column.least, min(longest, _READABLE if longest > word else 0)), max(longest, column.least)


def _shared(found: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Return a width for each column, (least, most), that fill ``room`` at most: the widest give way first."""
    widths = [most for _, most in found]
    while sum(widths) > room:
        over = [width if width > least else 0 for width, (least, _) in zip(widths, found, strict=True)]
        widths[over.index(max(over))] -= 1
    return widths


def _rich_table(table: Table, widths: Sequence[int], *, ruled: bool) -> RichTable:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    box = SIMPLE_HEAD if ruled else None
    rich_table = RichTable(
        title=table.title or None, title_justify="left", box=box, pad_edge=False, collapse_padding=ruled
    )
    for column, width in zip(table.columns, widths, strict=True):
        rich_table.add_column(Text(column.name), justify=column.align, overflow="fold", width=width)
    for row, style in _styled_rows(table):
        rich_table.add_row(*(Text(text, tone) for text, tone in row), style=style)
    return rich_table


def _stacked(table: Table, width: int) -> Iterator[RenderableType]:
    """Yield each row as a list of headers and cells; empty cells are left out."""
    from rich.text import Text

    if table.title:
        yield Text(table.title, "italic")
    margin = max(len(column.name) for column in table.columns) + 2
    for row, style in _styled_rows(table):
        yield Text()
        for column, (text, tone) in zip(table.columns, row, strict=True):
            beside, below = _wrapped(text, width - margin), _wrapped(text, width - _INDENT)
            fits = all(len(line) <= width - margin for line in beside)
            head = column.name.ljust(margin) if fits else f"{column.name}\n{' ' * _INDENT}".lstrip("\n")
            lines = f"\n{' ' * (margin if fits else _INDENT)}".join(beside if fits else below)
            if lines:
                yield Text.assemble((head, "bold"), (lines, tone or style or ""))


def _styled_rows(table: Table) -> Iterator[tuple[list[tuple[str, str]], str | None]]:
    """Yield each row as cells with the colour of each, and the colour of the row."""
    for place, row in enumerate(table.rows):
        tones = [
            _TONES.get(cell, "") if column.verdict else "" for cell, column in zip(row, table.columns, strict=True)
        ]
        style = table.styles[place] if place < len(table.styles) else None
        yield [(visible(cell), tone) for cell, tone in zip(row, tones, strict=True)], style


def _wrapped(text: str, width: int) -> list[str]:
    """Return lines of whole words."""
    return [
        wrapped
        for line in text.splitlines()
        for wrapped in textwrap.wrap(line, max(width, 1), break_long_words=False, break_on_hyphens=False)
    ]


def _line(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    cells = [
        cell.rjust(width) if column.align == "right" else cell.ljust(width)
        for cell, width, column in zip(row, widths, columns, strict=True)
    ]
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Return text as one line of Markdown that shows what it says: no cell ends, no HTML, code, image or link in it."""
    return _LINK.sub("]\\\\(", _MARKUP.sub(r"\\\g<0>", one_line(visible(text))))
