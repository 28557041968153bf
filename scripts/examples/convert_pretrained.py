#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn pretrained models into versions to serve.   usage: convert_pretrained.py [FOLDER]

A Keras file (.keras, and .h5 of older days) and a frozen graph of TensorFlow 1. Files are made first, since there have
to be some; with your own, ``convert_keras`` and ``convert_frozen`` are all you need. On the command line:

    tfs-deploy export pretrained.keras --to models/pretrained
    tfs-deploy export frozen.pb --to models/frozen -s 'serving_default(x=x:0) -> y=y:0'
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfs_deploy as td

ROWS = np.array([[1, 2], [3, 4], [-1, 0]], np.float32)


def convert_keras(file: Path, base_path: Path) -> td.ExportedVersion:
    """Export a Keras file; its answers to a few rows are recorded, and checked before it is published."""
    signatures = {"serving_default": td.Signature(inputs=["x"], outputs=["y"])}
    return td.export_model(
        file,
        base_path,
        signatures=signatures,
        examples={"serving_default": {"x": ROWS}},
        metadata={"source": file.name},
    )


def convert_frozen(file: Path, base_path: Path) -> td.ExportedVersion:
    """Export a frozen graph; which tensors are inputs and outputs, only its author knows."""
    signatures = {"serving_default": td.Signature(inputs={"x": "x:0"}, outputs={"y": "y:0"})}
    return td.export_model(file, base_path, signatures=signatures, examples={"serving_default": {"x": ROWS}})


def write_keras(file: Path) -> None:
    """Write what a training job left: a file with weights."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(1, name="y")])
    model.save(file)


def write_frozen(file: Path) -> None:
    """Write what a training job of 2018 left: a graph with its variables as constants."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        tf.reduce_sum(x * tf.constant([2.0, 3.0]), axis=1, name="y")
    file.write_bytes(graph.as_graph_def().SerializeToString())


def check(exported: td.ExportedVersion, expected: np.ndarray) -> None:
    """Load the version as a server would, and compare."""
    with td.load_model(exported.path) as served:
        answer = served.predict({"x": ROWS})["y"]
    print(f"{exported.path}: {exported.signatures['serving_default'].inputs['x']} -> {answer.ravel().tolist()}")
    np.testing.assert_allclose(answer, expected, rtol=1e-5)


def main(folder: str = "models") -> None:
    models = Path(folder)
    models.mkdir(parents=True, exist_ok=True)
    for file in (models / "pretrained.keras", models / "pretrained.h5"):
        write_keras(file)
        original = keras.saving.load_model(file)
        check(convert_keras(file, models / "pretrained"), original.predict(ROWS, verbose=0))

    write_frozen(models / "frozen.pb")
    check(convert_frozen(models / "frozen.pb", models / "frozen"), np.array([8.0, 18.0, -2.0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
