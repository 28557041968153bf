# SPDX-License-Identifier: Apache-2.0
"""What starting costs: the client import and `tfs-deploy --help`, median of 9 fresh processes each.

Run: python tests/bench/startup.py      (prints a table; exits 1 when a target is missed)
"""

from __future__ import annotations

import os
import resource
import statistics
import sys
import time
from pathlib import Path

RUNS = 9
CLIENT = "import tfs_deploy, sys; tfs_deploy.Client; assert 'tensorflow' not in sys.modules"


def measure(command: list[str]) -> tuple[float, float, float]:
    """Run once; seconds of wall time, peak resident megabytes of the process, seconds of processor time."""
    started = time.perf_counter()
    pid = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed with {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def median(command: list[str]) -> tuple[float, float, float]:
    wall, memory, processor = zip(*(measure(command) for _ in range(RUNS)), strict=True)
    return statistics.median(wall), statistics.median(memory), statistics.median(processor)


def main() -> int:
    python = sys.executable
    tfs_deploy = str(Path(python).with_name("tfs-deploy"))
    client_seconds, client_mb, client_processor = median([python, "-c", CLIENT])
    help_seconds, _, help_processor = median([tfs_deploy, "--help"])
    click_seconds, _, _ = median([python, "-c", "import click"])
    rows = [
        ("import tfs_deploy; tfs_deploy.Client", client_seconds, "s", 0.30),
        ("  its peak memory", client_mb, "MB", 60.0),
        ("tfs-deploy --help", help_seconds, "s", 0.15),
        ("  against 1.3 x `import click` + 60 ms", help_seconds, "s", 1.3 * click_seconds + 0.06),
    ]
    print(f"{'median of ' + str(RUNS):42} {'measured':>10}    {'at most':>9}")
    missed = 0
    for name, value, unit, limit in rows:
        missed += value > limit
        print(f"{name:42} {value:10.3f} {unit:2} {limit:9.3f}  {'ok' if value <= limit else 'MISSED'}")
    print(
        f"of that processor time: {client_processor:.3f} s and {help_processor:.3f} s; on a busy machine look at these"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
