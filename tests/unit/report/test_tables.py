# SPDX-License-Identifier: Apache-2.0
"""Tables: one description, Markdown and terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tfs_deploy.report import Column, Table, markdown_table, terminal_table
from tfs_deploy.report.tables import markdown_text


def plain(table: Table, width: int = 100) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, highlight=False).print(terminal_table(table))
    return stream.getvalue()


def test_a_table_reads_well_as_markdown():
    table = Table.of(["name", Column("ms", "right")], [["stable", 1.5], ["canary", None]], title="Latency")

    assert markdown_table(table) == (
        "**Latency**\n\n| name   |  ms |\n| ------ | --: |\n| stable | 1.5 |\n| canary |     |\n"
    )


def test_a_cell_cannot_break_the_table():
    table = Table.of(["text"], [["a | b\nc \\ d"]])

    assert markdown_table(table).splitlines()[2] == r"| a \| b c \\ d |"


def test_a_cell_is_no_markup_on_the_terminal():
    assert "[red]x[/red]" in plain(Table.of(["text"], [["[red]x[/red]"]]))


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
        Table.of(["a", "b"], [["only one"]])


def test_a_long_cell_is_wrapped_and_not_cut():
    text = "word " * 40

    assert plain(Table.of(["text"], [[text]]), width=40).count("word") == 40


STATUS = Table.of(
    ["model", "version", "state", "labels", "traffic", ""],
    [
        ["digits", 1, "AVAILABLE", "stable, canary", "100 %", None],
        ["digits", 2, "END", "", "", "NOT_FOUND: /srv/models/digits/2 not found"],
    ],
)


@pytest.mark.parametrize("width", [*range(36, 130, 3), 200])
def test_no_word_is_broken_and_no_value_lost_however_narrow_the_terminal_is(width):
    shown = plain(STATUS, width=width)

    assert all(len(line) <= width for line in shown.splitlines())
    words = {word for row in STATUS.rows for cell in row for word in cell.split()}
    assert words <= set(shown.split())


def test_what_does_not_fit_side_by_side_is_a_list():
    assert plain(STATUS, width=40).splitlines() == [
        *("", "model    digits", "version  1", "state    AVAILABLE", "labels   stable, canary", "traffic  100 %"),
        *("", "model    digits", "version  2", "state    END", "         NOT_FOUND: /srv/models/digits/2"),
        "         not found",
    ]
    assert plain(STATUS, width=100).splitlines()[3].split() == [
        *("digits", "1", "AVAILABLE", "stable,", "canary", "100", "%"),
    ]


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=5))
def test_every_row_is_one_line_with_all_its_columns(rows):
    lines = markdown_table(Table.of(["a", "b"], rows)).split("\n")

    assert len(lines) == len(rows) + 3
    for line in lines[:-1]:
        assert line.replace("\\\\", "").replace("\\|", "").count("|") == 3


def test_names_are_text_in_markdown_whatever_they_hold() -> None:
    name = "a`b|c\n# d <img src=x> ![x](http://x) [click](http://x) \x1b[31m http://joe:pw@host"
    shown = markdown_text(name)
    assert shown == (r"a\`b\|c # d \<img src=x> ![x]\(http://x) [click]\(http://x) \\x1b[31m http://***@host")
    assert markdown_table(Table.of(["n"], [[name]])).count("\n") == 3
