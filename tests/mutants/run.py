# SPDX-License-Identifier: Apache-2.0
"""Break one rule after another, and see that a test notices.

Run: python tests/mutants/run.py [TEXT ...]   (those whose name has TEXT; exits 1 if a mutant survives undefended)

A mutant is one change of one file in a copy of the project; the tests of that file must fail. Those of ``by_hand.py``
are known rules, the others are made by rules from the modules of ``targets.py``. A survivor is a rule that could be
deleted with a green suite: write the test that it lacks, or, if it changes nothing that a test could see, defend it in
``defended.txt``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from by_hand import MUTANTS
from generate import chosen, mutants_of
from targets import TARGETS

if TYPE_CHECKING:
    from mutant import Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("tfs_deploy", "tests", "configs", "docs", "scripts", "pyproject.toml", "README.md", "CONTRIBUTING.md")
DEFENDED = Path(__file__).with_name("defended.txt")
#: what tests import of others' libraries: once here, not again for each mutant
WARM = (
    "pytest",
    "hypothesis",
    "numpy",
    "ml_dtypes",
    "grpc",
    "grpc.aio",
    "httpx",
    "yaml",
    "google.protobuf.json_format",
)
SHORTEST_LIMIT = 30.0
SLOWER_THAN_ALONE = 5.0


def all_mutants() -> list[Mutant]:
    """Return those written by hand, and of each module those that are chosen."""
    made = [
        mutant for file, (count, tests) in TARGETS.items() for mutant in chosen(mutants_of(ROOT, file, tests), count)
    ]
    return [*MUTANTS, *made]


def defended() -> dict[str, str]:
    """Return the mutants that may survive, each with the reason: two lines, the second indented."""
    lines = [line for line in DEFENDED.read_text().splitlines() if line and not line.startswith("#")]
    return {name: reason.strip() for name, reason in zip(lines[::2], lines[1::2], strict=True)}


def copy_project(folder: Path) -> None:
    """Copy what tests need; the environment's own installation is not on the path of the copy's tests."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
        else:
            shutil.copy2(source, folder / name)


@dataclass
class Run:
    """The tests of a mutant, or of none, in a copy of the project."""

    copy: Path
    mutant: Mutant | None
    tests: tuple[str, ...]
    limit: float
    pid: int = 0
    began: float = 0.0
    before: bytes = b""
    late: bool = False

    def start(self) -> None:
        """Change the file and fork a process that runs the tests."""
        if self.mutant is not None:
            path = self.copy / self.mutant.file
            self.before = path.read_bytes()
            path.write_bytes(self.mutant.apply(self.before))
        self.began = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            try:
                os._exit(self._test())
            except BaseException:  # noqa: BLE001 - the rest of this program is the parent's
                traceback.print_exc()
                os._exit(1)

    def _test(self) -> int:
        import pytest

        os.setsid()
        os.chdir(self.copy)
        output = os.open(self.copy / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        # a run without a mutant leaves what it compiled for the others
        sys.dont_write_bytecode = self.mutant is not None
        os.environ |= {"PYTHONPATH": str(self.copy), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(self.copy / "tmp")}
        (self.copy / "tmp").mkdir(exist_ok=True)
        tempfile.tempdir = None
        sys.path.insert(0, str(self.copy))
        # hypothesis is imported already, which its plugin warns of
        options = "-q -x -p no:cacheprovider -p no:xdist -p no:cov -W ignore::pytest.PytestAssertRewriteWarning"
        return int(pytest.main([*options.split(), *self.tests]))

    def result(self) -> int | None:
        """Return how pytest ended (1 for tests that took too long), None while it runs."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        self.late = not pid and time.monotonic() - self.began > self.limit
        if not pid and not self.late:
            return None
        self.stop()
        if not pid:
            os.waitpid(self.pid, 0)
        if self.mutant is not None:
            (self.copy / self.mutant.file).write_bytes(self.before)
        return os.waitstatus_to_exitcode(status) if pid else 1

    def stop(self) -> None:
        """Kill the tests and what they left behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def limits(copy: Path, mutants: list[Mutant]) -> dict[tuple[str, ...], float]:
    """Return the seconds after which tests are taken for failed; the tests have to pass without a mutant."""
    found: dict[tuple[str, ...], float] = {}
    for tests in dict.fromkeys(mutant.tests for mutant in mutants):
        run = Run(copy, None, tests, 600.0)
        run.start()
        try:
            while (code := run.result()) is None:
                time.sleep(0.02)
        finally:
            run.stop()
        if code != 0:
            raise SystemExit(f"without a mutant, {' '.join(tests)} fail:\n{(copy / 'output').read_text()[-3000:]}")
        found[tests] = max(SHORTEST_LIMIT, SLOWER_THAN_ALONE * (time.monotonic() - run.began))
    return found


def survivors(mutants: list[Mutant], jobs: int) -> list[Mutant]:
    """Run the tests of each mutant, some at a time, and return those that pass all the same."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        Path(folder).chmod(0o755)  # tests become other users
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path(folder, "hypothesis"))
        for name in WARM:
            importlib.import_module(name)
        copies = [Path(folder, str(job)) for job in range(jobs)]
        copies[0].mkdir()
        copy_project(copies[0])
        limit = limits(copies[0], mutants)
        for copy in copies[1:]:
            shutil.copytree(copies[0], copy, symlinks=True)
        return _run_all([Run(Path(), mutant, mutant.tests, limit[mutant.tests]) for mutant in mutants], copies)


def _run_all(runs: list[Run], free: list[Path]) -> list[Mutant]:
    """Run as many at a time as there are copies that are free."""
    todo, running = list(reversed(runs)), list[Run]()
    found: list[Mutant] = []
    try:
        while todo or running:
            while todo and free:
                running.append(todo.pop())
                running[-1].copy = free.pop()
                running[-1].start()
            time.sleep(0.02)
            for run in list(running):
                code = run.result()
                if code is None or run.mutant is None:
                    continue
                running.remove(run)
                free.append(run.copy)
                found += [run.mutant] if code == 0 else []
                outcome = "SURVIVES" if code == 0 else "too slow" if run.late else "killed"
                print(f"{outcome:<9}{time.monotonic() - run.began:6.1f} s  {run.mutant.name}", flush=True)
    finally:
        for run in running:
            run.stop()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="*", help="only those whose name has one of these texts")
    parser.add_argument("--list", action="store_true", help="print the names")
    parser.add_argument("--sample", type=int, metavar="N", help="only N of them, others every day")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time")
    arguments = parser.parse_args()
    mutants = [each for each in all_mutants() if not arguments.texts or any(t in each.name for t in arguments.texts)]
    if arguments.sample is not None:
        mutants = random.Random(time.strftime("%F")).sample(mutants, min(arguments.sample, len(mutants)))
    if arguments.list:
        print("\n".join(mutant.name for mutant in mutants))
        return 0
    os.nice(5)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    began = time.monotonic()
    alive = survivors(mutants, arguments.jobs)
    known = defended()
    undefended = [mutant.name for mutant in alive if mutant.name not in known]
    print(f"{len(mutants) - len(alive)} of {len(mutants)} killed in {time.monotonic() - began:.0f} s")
    print(f"{len(alive) - len(undefended)} survivors are defended in {DEFENDED.name}, {len(undefended)} are not")
    return 1 if undefended else 0


if __name__ == "__main__":
    sys.exit(main())
