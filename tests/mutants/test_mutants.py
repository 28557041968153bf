# SPDX-License-Identifier: Apache-2.0
"""The list of mutants fits the code, and the script that runs them works: all of them are run by hand."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def run():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import run

        yield run


@pytest.fixture(scope="module")
def mutants(run):
    return run.all_mutants()


def test_every_mutant_is_one_change_of_a_file_that_stays_python(run, mutants):
    assert len(mutants) >= 200
    for mutant in mutants:
        before = (run.ROOT / mutant.file).read_bytes()
        after = mutant.apply(before)
        assert after != before, mutant.name
        ast.parse(after)
        assert all((run.ROOT / path).exists() for path in mutant.tests), mutant.name


def test_names_are_given_once_and_what_is_defended_is_there(run, mutants):
    names = [mutant.name for mutant in mutants]
    assert len(names) == len(set(names))
    assert set(run.defended()) <= set(names)
    assert len(run.defended()) <= len(names) // 20


#: modules whose tests are quick, and fail quickly
QUICK = ("atomic.py", "machine/strategies.py")


def test_some_of_them_are_killed():
    command = [sys.executable, FOLDER / "run.py", "--sample", "2", *QUICK]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 of 2 killed" in done.stdout or "defended" in done.stdout


def test_a_mutant_that_no_test_notices_survives(run, capsys):
    from mutant import Mutant

    blind = Mutant("blind", "tfs_deploy/text.py", '"""', '"""The ', ("tests/unit/test_text.py",), at=0)
    alive = run.survivors([blind], jobs=1)
    assert [mutant.name for mutant in alive] == ["blind"]
    assert "SURVIVES" in capsys.readouterr().out
