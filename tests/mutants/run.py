"""Break one rule after another, and see that a test notices.

Run: python tests/mutants/run.py [NAME ...]     (names as listed with --list; exits 1 if a mutant survives)

Each mutant is one change of a line in a copy of the project; the tests beside it must fail. A survivor is a rule that
could be deleted with a green suite: write the test that it lacks, or defend it in ``mutants.py``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("tfs_deploy", "tests", "configs", "docs", "scripts", "pyproject.toml", "README.md", "CONTRIBUTING.md")


def copy_project(folder: Path) -> None:
    """Copy what tests need; the environment's own installation is not on the path of the copy's tests."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
        else:
            shutil.copy2(source, folder / name)


def survives(mutant: Mutant, folder: Path) -> bool:
    """Return whether the mutant's tests pass all the same."""
    path = folder / mutant.file
    before = path.read_text()
    if before.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.name}: {mutant.file} has {before.count(mutant.old)} times:\n{mutant.old}")
    path.write_text(before.replace(mutant.old, mutant.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment(folder), capture_output=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(before)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{mutant.name}: pytest ended with {done.returncode}:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these")
    parser.add_argument("--list", action="store_true", help="print the names")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(mutant.name for mutant in MUTANTS))
        return 0
    chosen = [mutant for mutant in MUTANTS if not arguments.names or mutant.name in arguments.names]
    survivors = []
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        for mutant in chosen:
            started = time.monotonic()
            lives = survives(mutant, Path(folder))
            print(
                f"{'SURVIVES' if lives else 'killed':<9}{mutant.name:<48}{time.monotonic() - started:6.1f} s",
                flush=True,
            )
            survivors += [mutant.name] if lives else []
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} killed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
