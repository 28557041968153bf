#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train on handwritten digits and export.   usage: digits.py [FOLDER]

MNIST's small sister ships with the toolkit, so nothing is downloaded. ``model`` is what a pipeline names:

    cd scripts/examples && ../export_and_verify digits:model models/digits
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import tfs_deploy as td
from tfs_deploy.demo.digits import load_digits

LABELS = [str(digit) for digit in range(10)]


def model(epochs: int = 5) -> keras.Model:
    """Return a trained model: image, float32 [?, 8, 8], to probabilities, float32 [?, 10]."""
    keras.utils.set_random_seed(1)
    digits = load_digits()
    image = keras.Input((8, 8), name="image")
    hidden = keras.layers.Flatten()(keras.layers.Rescaling(1 / 16)(image))
    hidden = keras.layers.Dense(64, activation="relu")(hidden)
    trained = keras.Model(image, keras.layers.Dense(10, activation="softmax", name="probabilities")(hidden))
    trained.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    trained.fit(digits.train_images, digits.train_labels, epochs=epochs, verbose=0)
    return trained


def main(folder: str = "models") -> None:
    digits = load_digits()
    trained = model()
    accuracy = float(trained.evaluate(digits.test_images, digits.test_labels, verbose=0)[1])
    exported = td.export_model(
        trained,
        Path(folder) / "digits",
        signatures={
            "serving_default": td.Signature(outputs=["probabilities"]),
            "named": td.with_vocabulary(LABELS),  # adds `label`, a string
        },
        examples={name: {"image": digits.test_images[:8]} for name in ("serving_default", "named")},
        metadata={"accuracy": round(accuracy, 4)},
    )
    with td.load_model(exported.path) as served:
        answers = served.predict({"image": digits.test_images}, signature="named")["label"]
    served_accuracy = np.mean(answers.ravel().astype(int) == digits.test_labels)
    print(f"{exported.path}: accuracy {served_accuracy:.1%}, {accuracy:.1%} in Keras")
    assert abs(served_accuracy - accuracy) < 1e-6 < 0.9 < accuracy


if __name__ == "__main__":
    main(*sys.argv[1:])
