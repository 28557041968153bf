# SPDX-License-Identifier: Apache-2.0
"""LocalModel beside TensorFlow's own call of a signature, and its memory over many loads, in one run.

Run: python tests/bench/local_model.py [--rounds 15]     (prints a table; exits 1 when a limit is missed)

Speed: tiny models with the same arrays, LocalModel and ``tf.saved_model.load(...).signatures[...]`` in turns, each
turn a few hundred calls; the ratio is the median of the turns' ratios. TensorFlow's call gets ``tf.constant`` of the
arrays and its results are taken as arrays, as a caller has and wants them; without taking them is printed, not judged.

Memory: a model of 100 MB is loaded, called and closed 30 times in a fresh process; its resident memory after the last
close may be 10 % more than after the third.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

LARGEST_RATIO = 1.5
LARGEST_GROWTH = 1.10
CYCLES, SETTLED = 30, 3
CALLS = 300
CYCLE = """
    import gc, sys
    import numpy as np
    import tfs_deploy as td

    rows = np.ones((2, 5000), np.float32)
    for _ in range(int(sys.argv[2])):
        with td.load_model(sys.argv[1]) as model:
            model.predict(rows)
        gc.collect()
        with open("/proc/self/status") as status:
            print(next(line.split()[1] for line in status if line.startswith("VmRSS")), flush=True)
"""


def write_models(base: Path) -> dict[str, dict[str, Any]]:
    """Write the models; returns the arrays of a call by model."""
    import tensorflow as tf

    def save(name: str, function: Callable[..., Any], variables: Any = (), **specs: tuple[Any, Any]) -> None:
        module = tf.Module()
        module.variables_ = variables
        signature = {key: tf.TensorSpec(shape, dtype, name=key) for key, (dtype, shape) in specs.items()}
        module.serve = tf.function(function)
        tf.saved_model.save(module, str(base / name / "1"), module.serve.get_concrete_function(**signature))

    weight = tf.Variable(tf.random.stateless_uniform([8, 4], [1, 2]))
    save("one float", lambda x: {"y": x * 0.5 + 2.0}, x=(tf.float32, [None]))
    save("dense 8 to 4", lambda x: {"y": tf.nn.softmax(x @ weight)}, [weight], x=(tf.float32, [None, 8]))
    save(
        "two inputs",
        lambda a, b: {"s": a + tf.cast(b, tf.float32), "d": a},
        a=(tf.float32, [None]),
        b=(tf.int32, [None]),
    )
    save("a string", lambda t: {"upper": tf.strings.upper(t)}, t=(tf.string, [None]))
    large = tf.Variable(tf.zeros([5000, 5000]))  # 100 MB
    save("100 MB", lambda x: {"y": x @ large}, [large], x=(tf.float32, [None, 5000]))
    return {
        "one float": {"x": np.float32([1, 2])},
        "dense 8 to 4": {"x": np.ones((1, 8), np.float32)},
        "two inputs": {"a": np.float32([1]), "b": np.int32([2])},
        "a string": {"t": np.array([b"word"], object)},
    }


def seconds(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    for _ in range(CALLS):
        function()
    return (time.perf_counter() - started) / CALLS


def measure_calls(path: Path, arrays: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    """Return seconds a call, by way."""
    import tensorflow as tf

    import tfs_deploy as td

    loaded = tf.saved_model.load(str(path))  # must outlive its signature
    signature = loaded.signatures["serving_default"]

    def theirs_as_tensors() -> Any:
        return signature(**{name: tf.constant(array) for name, array in arrays.items()})

    with td.load_model(path) as model:
        ways: dict[str, Callable[[], Any]] = {
            "TensorFlow": lambda: {name: tensor.numpy() for name, tensor in theirs_as_tensors().items()},
            "TensorFlow, tensors": theirs_as_tensors,
            "LocalModel": lambda: model.predict(arrays),
        }
        expected, answer = ways["TensorFlow"](), ways["LocalModel"]()
        assert all(np.array_equal(answer[name], expected[name]) for name in expected)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-2, rounds):  # the first rounds warm up
            for name, way in ways.items():
                took = seconds(way)
                if number >= 0:
                    taken[name].append(took)
    return taken


def measure_cycles(path: Path) -> list[int]:
    """Return resident megabytes after each load and close."""
    command = [sys.executable, "-c", textwrap.dedent(CYCLE), str(path), str(CYCLES)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [int(line) // 1024 for line in printed.split()]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        calls = write_models(Path(folder))
        print(f"{'microseconds a call':<22} {'LocalModel':>10} {'TensorFlow':>11} {'ratio':>7} {'limit':>6}")
        for name, arrays in calls.items():
            taken = measure_calls(Path(folder, name, "1"), arrays, rounds)
            pairs = zip(taken["LocalModel"], taken["TensorFlow"], strict=True)
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            ours, theirs, bare = (
                1e6 * statistics.median(times)
                for times in (taken["LocalModel"], taken["TensorFlow"], taken["TensorFlow, tensors"])
            )
            holds = ratio < LARGEST_RATIO
            missed += not holds
            print(
                f"{name:<22} {ours:>10.0f} {theirs:>11.0f} {ratio:>6.2f}x {LARGEST_RATIO:>5}x  "
                f"{'holds' if holds else 'MISSED'}   (TensorFlow without taking the arrays: {bare:.0f})"
            )
        resident = measure_cycles(Path(folder, "100 MB", "1"))
    growth = resident[-1] / resident[SETTLED - 1]
    holds = growth <= LARGEST_GROWTH
    missed += not holds
    print(
        f"\nresident memory after load and close {SETTLED} of 100 MB: {resident[SETTLED - 1]} MB, after {CYCLES}: "
        f"{resident[-1]} MB, {growth:.2f}x, limit {LARGEST_GROWTH}x  {'holds' if holds else 'MISSED'}"
    )
    print(f"highest: {max(resident)} MB, after the first: {resident[0]} MB")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
