#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Load a SavedModel in a module, for a service or for a model around it.   usage: load_savedmodel.py [FOLDER]

``Scorer`` is what a service imports: it loads a version once, as TensorFlow Serving would, and answers with arrays.
``Doubled`` is a ``tf.Module`` that holds a loaded SavedModel and adds to it; it is exported like any other.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import tensorflow as tf

import tfs_deploy as td


class Scorer:
    """Scores rows with the newest version below a base path; ``close`` it to free its memory."""

    def __init__(self, base_path: str | Path) -> None:
        self._model = td.load_model(base_path, max_batch=64)

    @property
    def version(self) -> int | None:
        """The version that answers."""
        return self._model.version

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores of rows, float32 [n, 3]: float32 [n]."""
        return self._model.predict({"row": rows})["score"]

    def close(self) -> None:
        """Free the model."""
        self._model.close()


class Linear(tf.Module):
    """A small model, so that there is one to load."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable([0.5, -1.0, 2.0])

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="row")])
    def __call__(self, row: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": tf.linalg.matvec(row, self.weights)}


class Doubled(tf.Module):
    """A SavedModel with something around it; its variables come along."""

    def __init__(self, version: Path) -> None:
        super().__init__()
        self._loaded = tf.saved_model.load(str(version))
        self._score = self._loaded.signatures["serving_default"]

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="row")])
    def __call__(self, row: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"score": 2.0 * self._score(row=row)["score"]}


def main(folder: str = "models") -> None:
    base_path = Path(folder) / "linear"
    rows = np.array([[1, 1, 1], [2, 0, 0]], np.float32)

    first = td.export_model(Linear(), base_path)
    with closing(Scorer(base_path)) as score:
        print(f"version {score.version}: {score(rows).tolist()}")  # [1.5, 1.0]
        single = score(rows)

    td.export_model(Doubled(first.path), base_path)
    with closing(Scorer(base_path)) as score:
        print(f"version {score.version}: {score(rows).tolist()}")  # [3.0, 2.0]
        np.testing.assert_allclose(score(rows), 2 * single)


if __name__ == "__main__":
    main(*sys.argv[1:])
