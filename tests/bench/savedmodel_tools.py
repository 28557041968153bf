# SPDX-License-Identifier: Apache-2.0
"""inspect, lint and diff of 100 MB models against their targets and against saved_model_cli, in one run.

Run: python tests/bench/savedmodel_tools.py      (prints a table; exits 1 when a target is missed)

Each number is the median of fresh processes. The models hold 100 MB in variables, in constants of the graph (one
big one a layer) and in two thousand small constants; a fourth has 20,000 nodes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

RUNS = 7
SECONDS, MEGABYTES, TIMES_FASTER = 0.4, 80.0, 10.0
MODELS = """
    import sys
    import numpy as np
    import tensorflow as tf

    base, spec = sys.argv[1], tf.TensorSpec([None, 500], tf.float32, name="x")

    def weights(count, *shape):
        return [np.random.default_rng(n).random(shape, np.float32) for n in range(count)]

    class Variables(tf.Module):
        def __init__(self):
            self.layers = [tf.Variable(w) for w in weights(10, 500, 5000)]

        @tf.function(input_signature=[spec])
        def serve(self, x):
            return {"y": sum(tf.reduce_sum(x @ w, 1) for w in self.layers)}

    class Constants(tf.Module):
        def __init__(self, arrays):
            self.arrays = [tuple([array]) for array in arrays]

        @tf.function(input_signature=[spec])
        def serve(self, x):
            return {"y": tf.reduce_sum(x, 1) + sum(tf.constant(array)[0, 0] for (array,) in self.arrays)}

    class Nodes(tf.Module):
        @tf.function(input_signature=[spec])
        def serve(self, x):
            for number in range(10_000):
                x = x + float(number)
            return {"y": x}

    models = {
        "variables": Variables(),
        "constants": Constants(weights(10, 500, 5000)),
        "small constants": Constants(weights(2000, 125, 100)),
        "nodes": Nodes(),
    }
    for name, model in models.items():
        tf.saved_model.save(model, f"{base}/{name}/1", signatures=model.serve)
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Run once; seconds of wall time and peak resident megabytes of the process."""
    started = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_WRONLY, 0) for stream in (1, 2)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed with {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def median(command: list[str], runs: int = RUNS) -> tuple[float, float]:
    results = [measure(command) for _ in range(runs)]
    return statistics.median(run[0] for run in results), statistics.median(run[1] for run in results)


def main() -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    scripts = Path(sys.executable).parent
    tool, their_tool = str(scripts / "tfs-deploy"), str(scripts / "saved_model_cli")
    missed = 0
    with tempfile.TemporaryDirectory() as base:
        subprocess.run([sys.executable, "-c", textwrap.dedent(MODELS), base], check=True, capture_output=True)
        print(f"median of {RUNS:<10} {'inspect':>16} {'lint':>16} {'diff':>16} {'show --all':>16}   times faster")
        for folder in sorted(Path(base).iterdir()):
            version = str(folder / "1")
            ours = [median([tool, *command]) for command in (["inspect", version], ["lint", version])]
            ours.append(median([tool, "diff", version, version]))
            theirs = median([their_tool, "show", "--dir", version, "--all"], 3)
            faster = theirs[0] / max(seconds for seconds, _ in ours)
            cells = " ".join(f"{seconds:6.2f} s {mb:4.0f} MB" for seconds, mb in (*ours, theirs))
            ok = faster >= TIMES_FASTER and all(s <= SECONDS and mb <= MEGABYTES for s, mb in ours)
            missed += not ok
            print(f"{folder.name:20} {cells}   {faster:8.1f} x  {'ok' if ok else 'MISSED'}")
    print(f"targets: {SECONDS} s, {MEGABYTES:.0f} MB, {TIMES_FASTER:.0f} x faster than saved_model_cli show --all")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
