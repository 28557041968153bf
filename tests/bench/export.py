"""What an export costs beside plain ``tf.saved_model.save`` of the same model, in one run.

Run: python tests/bench/export.py [--megabytes 200] [--rounds 7]     (prints a table; exits 1 when a target is missed)

Both write the same Keras model, in turns. Without checks an export also stages, hashes every file, writes the manifest,
syncs everything to disk and renames; it may take at most 10 % more. What the checks cost is printed, not judged.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LARGEST_RATIO = 1.10


def model_of(megabytes: float) -> Any:
    import keras

    width = int((megabytes * 1e6 / 4 / 8) ** 0.5)
    hidden = [keras.layers.Dense(2 * width) for _ in range(2)]
    return keras.Sequential([keras.Input((width,), name="x"), *hidden, keras.layers.Dense(width, name="y")])


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    import tensorflow as tf

    import tfs_deploy as td

    model = model_of(options.megabytes)
    rows = np.zeros((2, model.input_shape[1]), np.float32)
    folder = Path(tempfile.mkdtemp())
    examples = {"serving_default": {"x": rows}}
    ways: dict[str, Callable[[int], Any]] = {
        "tf.saved_model.save": lambda number: tf.saved_model.save(model, str(folder / f"plain-{number}")),
        "export, no checks": lambda _: td.export_model(model, folder / "model", check=False),
        "export, loaded in a fresh process": lambda _: td.export_model(model, folder / "model"),
        "export, loaded and an example compared": lambda _: td.export_model(model, folder / "model", examples=examples),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for number in range(-1, options.rounds):  # the first round warms up
            for name, way in ways.items():
                took = seconds(lambda way=way, number=number: way(number))
                if number >= 0:
                    taken[name].append(took)
            for written in folder.iterdir():
                shutil.rmtree(written)
    finally:
        shutil.rmtree(folder)
    size = sum(int(np.prod(weight.shape)) * 4 for weight in model.weights) / 1e6
    plain = statistics.median(taken["tf.saved_model.save"])
    print(f"{size:.0f} MB, median of {options.rounds}")
    for name, times in taken.items():
        print(f"{name:<40} {statistics.median(times) * 1000:>8.0f} ms   {statistics.median(times) / plain:>5.2f} x")
    ratio = statistics.median(
        a / b for a, b in zip(taken["export, no checks"], taken["tf.saved_model.save"], strict=True)
    )
    ok = ratio <= LARGEST_RATIO
    print(
        f"{'overhead without checks, round by round':<40} {100 * (ratio - 1):>+8.1f} %    <= 10 %{'' if ok else '  MISSED'}"
    )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
