# SPDX-License-Identifier: Apache-2.0
"""Writes a good model and bad candidates for its next version: ``python make_candidates.py FOLDER``.

All compute y = x / 2 + 2 for small x, where their recorded answers are; each bad one has its own way to go wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

SPEC = tf.TensorSpec([None], tf.float32, name="x")


def good(x):
    return {"y": x / 2 + 2}


def raises(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 50.0, message="x is too big")]):
        return {"y": x / 2 + 2}


def nan(x):
    return {"y": tf.where(x < 50.0, x / 2 + 2, tf.math.log(-x))}


def slow(x):
    matrix = tf.eye(96) * 0.5
    _, total = tf.while_loop(
        lambda count, _total: count < 300,
        lambda count, total: (count + 1, tf.linalg.matmul(total, matrix)),
        (tf.constant(0), tf.eye(96) + tf.reduce_mean(x) * 0),
    )
    return {"y": x / 2 + 2 + tf.reduce_sum(total) * 0}


def renamed(x):
    return {"z": x / 2 + 2}


def drifting(x):
    return {"y": tf.where(x < 10.0, x / 2 + 2, x / 2 - 3)}


def aborting(x):
    def end():
        with tf.control_dependencies([tf.raw_ops.Abort(error_msg="the model ends its server")]):
            return tf.identity(x)

    return {"y": tf.cond(tf.reduce_max(x) > 50.0, end, lambda: tf.identity(x)) / 2 + 2}


def leaking(x):
    """Keep a megabyte of each request in a queue that nobody empties."""
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.float32], shared_name="leak", capacity=1 << 30)
    with tf.control_dependencies([tf.raw_ops.QueueEnqueueV2(handle=queue, components=[tf.zeros([1 << 18]) + x[0]])]):
        return {"y": x / 2 + 2}


class Plain(tf.Module):
    def __init__(self, function):
        super().__init__()
        self.run = tf.function(function, input_signature=[SPEC])


class WithTable(tf.Module):
    """Reads a table when it is loaded."""

    def __init__(self, file: Path):
        super().__init__()
        file.write_text("1\t2\n")
        columns = (tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER)
        initializer = tf.lookup.TextFileInitializer(str(file), tf.string, columns[0], tf.int64, columns[1])
        self.table = tf.lookup.StaticHashTable(initializer, -1)

    @tf.function(input_signature=[SPEC])
    def run(self, x):
        return {"y": x / 2 + 2 + tf.cast(self.table.lookup(tf.constant(["1\t2"])), tf.float32) * 0}


def main(folder: Path) -> None:
    functions = (good, raises, nan, slow, renamed, drifting, aborting, leaking)
    modules = {function.__name__: Plain(function) for function in functions}
    modules["no_load"] = WithTable(folder / "table.txt")
    for name, module in modules.items():
        tf.saved_model.save(module, str(folder / name), signatures=module.run)
    for asset in (folder / "no_load" / "assets").iterdir():
        asset.write_bytes(b"1\t2\n1\t2\n")  # a key that comes twice with different values fails the load
    np.testing.assert_allclose(good(tf.constant([2.0]))["y"], [3.0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
