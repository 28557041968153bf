# SPDX-License-Identifier: Apache-2.0
"""What each step takes for each model of the zoo.

Run: python tests/zoo/table.py [LIBRARY ...]     (prints a table; exits 1 when a model fails that has no known fault)
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from zoo.catalog import libraries
from zoo.packages import NotInstalledError
from zoo.trial import BrokenError, RefusedError, build_all, try_model


def row(out: Path, name: str) -> tuple[bool, str]:
    """Try a model; return whether it answers as the original, and its row."""
    try:
        seconds = try_model(out, name)
    except (BrokenError, RefusedError, AssertionError) as error:
        return False, f"{name:48} {' '.join(str(error).split())[:400]}"
    return True, f"{name:48} {seconds.export:8.1f} {seconds.verify:8.1f} {seconds.serve:8.1f}"


def main(chosen: list[str]) -> int:
    print(f"{'seconds of':48} {'export':>8} {'verify':>8} {'serve':>8}")
    unexpected = 0
    for library, about in libraries().items():
        if chosen and library not in chosen:
            continue
        with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
            try:
                build_all(about, [f"{library}/{name}" for name in about.models], Path(folder))
            except NotInstalledError as error:
                print(f"{library:48} {error}")
                unexpected += 1
                continue
            for name in about.models:
                good, text = row(Path(folder), f"{library}/{name}")
                print(text, flush=True)
                unexpected += good == (name in about.faults)
    return min(unexpected, 1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
