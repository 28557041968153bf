#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train on handwritten digits and export.   usage: digits.py [FOLDER]

MNIST's small sister ships with scikit-learn, so nothing is downloaded. ``model`` is what a pipeline names:

    cd scripts/examples && ../export_and_verify digits:model models/digits
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from sklearn.datasets import load_digits

import tfs_deploy as td

LABELS = [str(digit) for digit in range(10)]


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return the scans as float32 [1797, 8, 8] with values 0 to 16, in a random order, and their digits."""
    digits = load_digits()
    order = np.random.default_rng(1).permutation(len(digits.target))
    return digits.images.astype(np.float32)[order], digits.target[order]


def model(epochs: int = 5) -> keras.Model:
    """Return a trained model: image, float32 [?, 8, 8], to probabilities, float32 [?, 10]."""
    keras.utils.set_random_seed(1)
    images, digits = data()
    image = keras.Input((8, 8), name="image")
    hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(image))
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    trained = keras.Model(image, keras.layers.Dense(10, activation="softmax", name="probabilities")(hidden))
    trained.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    trained.fit(images[360:], digits[360:], epochs=epochs, verbose=0)
    return trained


def main(folder: str = "models") -> None:
    images, digits = data()
    trained = model()
    accuracy = float(trained.evaluate(images[:360], digits[:360], verbose=0)[1])
    exported = td.export_model(
        trained,
        Path(folder) / "digits",
        signatures={
            "serving_default": td.Signature(outputs=["probabilities"]),
            "named": td.with_vocabulary(LABELS),  # adds `label`, a string
        },
        examples={name: {"image": images[:8]} for name in ("serving_default", "named")},
        metadata={"accuracy": round(accuracy, 4)},
    )
    with td.load_model(exported.path) as served:
        answers = served.predict({"image": images[:360]}, signature="named")["label"]
    served_accuracy = np.mean([int(label) == digit for label, digit in zip(answers.ravel(), digits[:360], strict=True)])
    print(f"{exported.path}: accuracy {served_accuracy:.1%}, {accuracy:.1%} in Keras")
    assert abs(served_accuracy - accuracy) < 1e-6 < 0.9 < accuracy


if __name__ == "__main__":
    main(*sys.argv[1:])
