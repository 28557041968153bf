# SPDX-License-Identifier: Apache-2.0
"""What a verdict costs: `tfs-deploy verify` on the demo's model, whole process, and the refusal of a broken model.

Run: python tests/bench/verify.py [FOLDER]     (prints a table; exits 1 when a limit is missed)

FOLDER: of an earlier ``python -m tfs_deploy.demo.train FOLDER``; without it the model is trained first.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 3
#: runs in every Python process of a verification, and notes which of them imported TensorFlow's Python package
WITNESS = """
import atexit, os, sys
def note():
    with open(os.environ["VERIFY_WITNESS"], "a") as file:
        file.write(f"{'tensorflow' in sys.modules:d} {' '.join(sys.argv[:2])}\\n")
atexit.register(note)
"""


def run(folder: Path, *arguments: str) -> tuple[float, dict, int]:
    """Verify; return the seconds of the whole process, the verdict, and how many processes imported TensorFlow."""
    witness = folder / "witness"
    (folder / "hook").mkdir(exist_ok=True)
    (folder / "hook/sitecustomize.py").write_text(WITNESS)
    witness.write_text("")
    environment = {**os.environ, "PYTHONPATH": str(folder / "hook"), "VERIFY_WITNESS": str(witness)}
    command = [sys.executable, "-m", "tfs_deploy", "verify", *arguments, "--json", "--quiet"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    seconds = time.perf_counter() - began
    notes = witness.read_text().splitlines()
    if not done.stdout or len(notes) < 2:
        raise SystemExit(f"{command} failed: {done.stderr}")
    return seconds, json.loads(done.stdout), sum(line.startswith("1") for line in notes)


def trained(folder: Path) -> Path:
    if len(sys.argv) > 1:
        return Path(sys.argv[1])
    command = [sys.executable, "-m", "tfs_deploy.demo.train", str(folder / "demo")]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder / "demo"


def refused_at_load(folder: Path) -> float:
    """Return the seconds from the start of a server to the refusal of a graph with an unknown op."""
    model = folder / "broken"
    shutil.copytree(Path(__file__).parents[1] / "data/verify/plain", model)
    graph = model / "1/saved_model.pb"
    graph.write_bytes(graph.read_bytes().replace(b"AddV2", b"AddV9"))
    _, verdict, _ = run(folder, str(model), "--only", "load")
    (check,) = (check for check in verdict["checks"] if check["id"] == "load.served")
    if check["status"] != "failed" or "AddV9" not in check["reason"]:
        raise SystemExit(f"the broken model was not refused for what is wrong with it: {check}")
    return float(check["measured"])


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = trained(folder)
        rows, models = str(demo / "reference/rows.npz"), demo / "models/digits"
        options = ["--dataset", rows, "--metric", "accuracy>=0.95", "--output", "probabilities", "--baseline", "1"]
        found = [run(folder, str(models / "2"), *options) for _ in range(ROUNDS)]
        bad = [run(folder, str(models / "3")) for _ in range(ROUNDS)]
        checks = len(found[0][1]["checks"])
        table = [
            (
                f"verify of the demo's model, {checks} checks, whole process",
                statistics.median(f[0] for f in found),
                25.0,
                "s",
            ),
            ("verify of its broken version", statistics.median(b[0] for b in bad), 25.0, "s"),
            ("processes that import TensorFlow's package", max(f[2] for f in found), 1, ""),
            ("refusal of a graph that cannot be loaded, from the server's start", refused_at_load(folder), 5.0, "s"),
        ]
        verdicts = [f[1]["ok"] for f in found] == [True] * ROUNDS and not any(b[1]["ok"] for b in bad)
    print(f"{'median of ' + str(ROUNDS):68} {'measured':>9}   {'at most':>7}")
    missed = not verdicts
    for text, value, limit, unit in table:
        missed = missed or value > limit
        print(f"{text:68} {value:9.2f} {unit:1} {limit:7.1f}   {'yes' if value <= limit else 'NO'}")
    print(f"{'good one passes, broken one does not':68} {'':9}   {'':7}   {'yes' if verdicts else 'NO'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
