# SPDX-License-Identifier: Apache-2.0
"""docs/ci.md: its commands run as printed, its table names every check there is."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfs_deploy.cli.shared.output import Output

ROOT = Path(__file__).parents[3]
PLAIN = ROOT / "tests/data/verify/plain/1"
PAGE = (ROOT / "docs/ci.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines()]
IDENTITY = re.compile(r'f?"((?:files|policy|load|smoke|behaviour|parity|refusals|data|load-test)\.[a-z-]+)"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ci")
    for number in (1, 2):
        shutil.copytree(PLAIN, folder / "models/digits" / str(number))
    (folder / "holdout.csv").write_text("x,label\n" + "".join(f"{x},{x / 2 + 2}\n" for x in range(20)))
    for name, first in (("budgets.yaml", "budgets:"), ("policy.yaml", "ops:")):
        (text,) = (text for language, text in BLOCKS if language == "yaml" and text.startswith(first))
        (folder / name).write_text(text)
    (folder / "digits.yaml").write_text("name: digits\nmodels:\n  - {name: digits, base_path: models/digits}\n")
    return folder


@pytest.mark.full
@pytest.mark.parametrize("line", COMMANDS)
def test_command(line, folder):
    words = shlex.split(line)
    assert words[0] == "tfs-deploy"
    done = subprocess.run(
        [sys.executable, "-m", "tfs_deploy", *words[1:]],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", re.findall(r"^tfs-deploy verify .*", PAGE, re.MULTILINE))
def test_every_command_is_one_that_can_be_planned(line, folder, monkeypatch):
    """The short form: everything up to the start of a server."""
    from tfs_deploy.cli.commands.verify import command

    monkeypatch.chdir(folder)
    monkeypatch.setattr("tfs_deploy.verify.run.verify", planned := Planned())
    words = shlex.split(line)[2:]
    with contextlib.suppress(StopHere):
        command.main(words, standalone_mode=False, obj=Output(quiet=True))
    assert planned.plan is not None
    assert planned.plan.targets


class StopHere(Exception):  # noqa: N818
    """Enough is known."""


class Planned:
    """Takes the place of ``verify`` and keeps its plan."""

    plan = None

    def __call__(self, plan, *_):
        self.plan = plan
        raise StopHere


def test_the_table_names_every_check():
    made = set()
    for path in (ROOT / "tfs_deploy/verify").rglob("*.py"):
        made |= set(IDENTITY.findall(path.read_text()))
    named = set(re.findall(r"`([a-z-]+\.[a-z-]+)`", PAGE))
    assert made
    assert made - named == set()
