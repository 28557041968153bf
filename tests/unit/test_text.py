"""Words and numbers for people."""

from __future__ import annotations

import pytest

from tfs_deploy.text import size_text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_500_000, "2.5 MB"), (3_210_000_000, "3.2 GB")]
)
def test_sizes_as_people_write_them(count, text):
    assert size_text(count) == text
