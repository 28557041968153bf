"""What an export costs beside plain ``tf.saved_model.save`` of the same model, in one run.

Run: python tests/bench/export.py [--rounds 5]     (prints a table; exits 1 when a target is missed)

Both write the same Keras model of 200 MB, in turns. Without checks an export also stages, hashes every file, writes
the manifest, syncs everything to disk and renames; for a convolutional network it may take at most 10 % more. What the
checks cost is printed, not judged. Three bare matrices are the worst case: TensorFlow has next to nothing to do but
copy memory, and hashing 200 MB, though done meanwhile on another core, takes about as long as that; printed only.
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


def convolutional() -> Any:
    import keras
    from keras import layers

    x = inputs = keras.Input((64, 64, 3), name="x")
    for number in range(40):
        filters = (64, 128, 256, 512)[number // 10]
        y = layers.Conv2D(filters, 3, padding="same", strides=1 if number % 10 else 2)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        x = layers.Add()([x, y]) if number % 10 else y
    x = layers.Dense(4200)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(4200, name="y")(x))


def three_matrices() -> Any:
    import keras
    from keras import layers

    hidden = [layers.Dense(5000), layers.Dense(5000)]
    return keras.Sequential([keras.Input((2500,), name="x"), *hidden, layers.Dense(2500, name="y")])


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(model: Any, folder: Path, rounds: int) -> dict[str, list[float]]:
    import tensorflow as tf

    import tfs_deploy as td

    examples = {"serving_default": {"x": np.zeros((2, *model.input_shape[1:]), np.float32)}}
    ways: dict[str, Callable[[], Any]] = {
        "tf.saved_model.save": lambda: tf.saved_model.save(model, str(folder / "plain")),
        "export, no checks": lambda: td.export_model(model, folder / "model", check=False),
        "export, loaded in a fresh process": lambda: td.export_model(model, folder / "model"),
        "export, loaded and an example compared": lambda: td.export_model(model, folder / "model", examples=examples),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):  # the first round warms up
        for name, way in ways.items():
            took = seconds(way)
            if number >= 0:
                taken[name].append(took)
        for written in folder.iterdir():
            shutil.rmtree(written)
    return taken


def report(name: str, taken: dict[str, list[float]]) -> float:
    plain = statistics.median(taken["tf.saved_model.save"])
    for way, times in taken.items():
        median = statistics.median(times)
        print(f"{name:<16} {way:<40} {median * 1000:>7.0f} ms {median / plain:>6.2f} x")
    pairs = zip(taken["export, no checks"], taken["tf.saved_model.save"], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp())
    try:
        ratio = report("40 convolutions", measure(convolutional(), folder, rounds))
        worst = report("three matrices", measure(three_matrices(), folder, rounds))
    finally:
        shutil.rmtree(folder)
    ok = ratio <= LARGEST_RATIO
    print(f"overhead without checks: {100 * (ratio - 1):+.1f} %    <= 10 %{'' if ok else '  MISSED'}")
    print(f"worst case:              {100 * (worst - 1):+.1f} %")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
