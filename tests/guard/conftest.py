# SPDX-License-Identifier: Apache-2.0
"""What the guard of public names shares: the command line, run in this process, and the comparison with a record."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

import tfs_deploy

RECORDED = Path(__file__).parent / "recorded"
MAIN = Path(__file__).parents[2] / "tfs_deploy/__main__.py"


def run_command_line(*arguments: object) -> SimpleNamespace:
    """Run ``python -m tfs_deploy`` in this process: ``returncode``, ``stdout`` and ``stderr`` as of one of its own."""
    out, errors, code = io.StringIO(), io.StringIO(), None
    before, handler = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = ["tfs-deploy", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            # by its path: the package of a pytest plugin has a loader of pytest, which runpy cannot use
            runpy.run_path(str(Path(tfs_deploy.__file__).with_name("__main__.py")), run_name="__main__")
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
        signal.signal(signal.SIGTERM, handler)
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=errors.getvalue())


@pytest.fixture(scope="session")
def cli() -> Callable[..., SimpleNamespace]:
    """Run one command line."""
    return run_command_line


@pytest.fixture
def command_group(monkeypatch: pytest.MonkeyPatch) -> click.Group:
    """The click group behind ``tfs-deploy``, wherever it is defined."""
    found: list[click.Command] = []

    def main(self: click.Command, *_arguments: Any, **_options: Any) -> int:
        found.append(self)
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(click.Command, "main", main)
        run_command_line("--help")
    (group,) = found
    assert isinstance(group, click.Group)
    return group


@pytest.fixture(scope="session")
def recorded() -> Callable[[str, Any], None]:
    """Compare a value with its record; ``record.py`` writes the record instead."""

    def compare(name: str, value: Any) -> None:
        path = RECORDED / f"{name}.json"
        text = json.dumps(value, indent=1, sort_keys=True) + "\n"
        if os.environ.get("TFS_DEPLOY_RECORD"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        lines = path.read_text().splitlines(), text.splitlines()
        difference = list(difflib.unified_diff(*lines, "recorded", "now", n=3, lineterm=""))
        assert not difference, "\n".join(["the public surface changed: see tests/guard/README.md", *difference])

    return compare
