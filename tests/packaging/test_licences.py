# SPDX-License-Identifier: Apache-2.0
"""Nothing that the project depends on has a licence that is unknown or does not go with its own."""

from __future__ import annotations

import importlib.machinery
import re
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> types.ModuleType:
    module = types.ModuleType("make_licences")
    path = ROOT / "scripts/make_licences"
    module.__file__ = str(path)
    importlib.machinery.SourceFileLoader("make_licences", str(path)).exec_module(module)
    return module


def test_every_licence_is_known_and_compatible(script):
    licences = {name: script.licence_of(name) for name in script.locked()}
    assert len(licences) > 100
    wrong = {name: licence for name, licence in licences.items() if not script.compatible(licence)}
    assert wrong == {}, "find another package, or read its licence and see scripts/make_licences"


def test_the_page_lists_what_is_locked(script):
    """A package with another version on another Python may name its licence differently there."""
    lines = (ROOT / "docs/licences.md").read_text()
    rows = dict(re.findall(r"^\| ([a-z0-9][a-z0-9._-]*) \| ([^|]+) \|", lines, re.MULTILINE))
    assert sorted(rows) == script.locked(), "out of date: .venv/bin/python scripts/make_licences"
    text = script.CONSTRAINTS.read_text()
    single = [name for name in rows if len(re.findall(rf"^{re.escape(name)}==", text, re.MULTILINE)) == 1]
    assert {name: rows[name] for name in single} == {name: script.licence_of(name) for name in single}


@pytest.mark.parametrize(
    ("expression", "compatible"),
    [
        ("MIT", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-3.0-or-later OR BSD-2-Clause", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND AGPL-3.0-only", False),
        ("LGPL-2.1-only", False),
        ("LicenseRef-Proprietary", False),
        (None, False),
    ],
)
def test_what_goes_with_apache(script, expression, compatible):
    assert script.compatible(expression) is compatible


def test_an_unknown_package_stops_the_script(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "locked", lambda: ["click", "a-package-that-is-not-there"])
    assert script.main() == 1
    assert "a-package-that-is-not-there: None" in capsys.readouterr().err
