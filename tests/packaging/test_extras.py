# SPDX-License-Identifier: Apache-2.0
"""The extras: a user finds each of them on the install page, and ``all`` brings what its name says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

tomllib = pytest.importorskip("tomllib")  # Python 3.11
ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
#: for work on the project itself
DEVELOPMENT = {"dev", "docs"}


def own(extra: str) -> set[str]:
    """Return the extras that an extra names, at any depth."""
    named = {
        name
        for line in EXTRAS[extra]
        for part in re.findall(r"^tf-serving-deploy\[(.+)\]", line)
        for name in part.split(",")
    }
    return named.union(*map(own, named))


def test_all_brings_every_extra():
    assert own("all") == EXTRAS.keys() - DEVELOPMENT - {"all"}


def test_each_extra_has_a_row_on_the_install_page():
    table = (ROOT / "README.md").read_text().partition("| Extra | Brings | For |")[2].partition("\n\n")[0]
    rows = {name for line in table.split("\n")[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert rows == EXTRAS.keys() - DEVELOPMENT


@pytest.mark.parametrize("extra", EXTRAS)
def test_no_package_is_listed_twice(extra):
    names = [re.match(r"[\w.-]+(\[[^]]*\])?", line)[0] for line in EXTRAS[extra]]
    assert len(names) == len(set(names))
