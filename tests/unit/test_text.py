# SPDX-License-Identifier: Apache-2.0
"""Words and numbers for people."""

from __future__ import annotations

import pytest

from tfs_deploy.text import size_text, visible


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3_210_000_000, "3.2 GB")]
)
def test_sizes_as_people_write_them(count, text):
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("é 模型\ta\nb", "é 模型\ta\nb"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\r\x85b\u2028c", "a\\x0d\\x85b\\u2028c"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_is_not_printable_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown
