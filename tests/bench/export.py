# SPDX-License-Identifier: Apache-2.0
"""What an export costs beside plain ``tf.saved_model.save`` of the same model, in one run.

Run: python tests/bench/export.py [--rounds 5]     (prints a table; exits 1 when a target is missed)

Both write the same Keras model of 200 MB, in turns. Without checks an export also stages, hashes every file, writes
the manifest, syncs everything to disk and renames. What the checks cost is printed, not judged.

An export may take at most 10 % more than the save. For networks (40 convolutions, 25 dense layers) it takes less: it
saves the functions that are served, not every one that Keras traced. Three bare matrices are the worst case: TensorFlow
has nothing to do but to copy 200 MB into the page cache, about as fast as a core can hash them, so the hash must run
beside all of the save and leaves nothing to spare. The time that the hash alone takes is printed beside it, and the
ratio to a save whose files are synced.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

LARGEST_RATIO = 1.10
PLAIN, SYNCED, EXPORT = "tf.saved_model.save", "tf.saved_model.save, files synced", "export, no checks"


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


def dense() -> Any:
    import keras
    from keras import layers

    hidden = [layers.Dense(1414, activation="relu") for _ in range(24)]
    return keras.Sequential([keras.Input((1414,), name="x"), *hidden, layers.Dense(1414, name="y")])


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

    def save_and_sync() -> None:
        tf.saved_model.save(model, str(folder / "synced"))
        for path in [*(folder / "synced").rglob("*"), folder / "synced"]:
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    ways: dict[str, Callable[[], Any]] = {
        PLAIN: lambda: tf.saved_model.save(model, str(folder / "plain")),
        SYNCED: save_and_sync,
        EXPORT: lambda: td.export_model(model, folder / "model", check=False),
        "export, loaded in a fresh process": lambda: td.export_model(model, folder / "model"),
        "export, loaded and an example compared": lambda: td.export_model(model, folder / "model", examples=examples),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-1, rounds):  # the first round warms up
        for name, way in ways.items():
            os.sync()  # what the one before left to the disk must not slow down this one
            took = seconds(way)
            if number >= 0:
                taken[name].append(took)
        for written in folder.iterdir():
            shutil.rmtree(written)
    return taken


def report(name: str, taken: dict[str, list[float]], limits: dict[str, float | None]) -> bool:
    """Print the times of one model, and by how much an export exceeds each kind of save; tell if the limits hold."""
    plain = statistics.median(taken[PLAIN])
    for way, times in taken.items():
        median = statistics.median(times)
        print(f"{name:<16} {way:<40} {median * 1000:>7.0f} ms {median / plain:>6.2f} x")
    holds = True
    for base, limit in limits.items():
        pairs = zip(taken[EXPORT], taken[base], strict=True)
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        verdict = "printed only" if limit is None else "holds" if ratio <= limit else "MISSED"
        holds = holds and verdict != "MISSED"
        at_most = "" if limit is None else f"<= {100 * (limit - 1):.0f} %"
        print(f"{name:<16} export, no checks, over {base:<34} {100 * (ratio - 1):>+6.1f} %  {at_most:<8} {verdict}")
    return holds


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp())
    try:
        holds = report("40 convolutions", measure(convolutional(), folder, rounds), {PLAIN: LARGEST_RATIO})
        holds = report("25 dense layers", measure(dense(), folder, rounds), {PLAIN: LARGEST_RATIO}) and holds
        limits = {PLAIN: LARGEST_RATIO, SYNCED: None}
        holds = report("three matrices", measure(three_matrices(), folder, rounds), limits) and holds
        data = bytes(200 << 20)
        hashed = seconds(lambda: hashlib.sha256(data))
        print(f"{'three matrices':<16} {'sha256 of 200 MB in memory':<40} {hashed * 1000:>7.0f} ms")
    finally:
        shutil.rmtree(folder)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
