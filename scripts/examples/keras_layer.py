#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Put a SavedModel into a Keras model and train what comes after it.   usage: keras_layer.py [FOLDER]

The SavedModel stays as it is: features from a pretrained model, a new head on top. The result is exported as one
model that holds both.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import tfs_deploy as td


def main(folder: str = "models") -> None:
    keras.utils.set_random_seed(1)
    row = keras.Input((4,), name="row")
    extractor = keras.Model(row, keras.layers.Dense(8, activation="tanh", name="features")(row))
    pretrained = td.export_model(extractor, Path(folder) / "features")

    with td.load_model(pretrained.path) as loaded:
        layer = loaded.as_keras_layer(name="pretrained")
    inputs = keras.Input((4,), name="row")
    score = keras.layers.Dense(1, activation="sigmoid", name="score")(layer(inputs)["features"])
    model = keras.Model(inputs, score)

    rows = np.random.default_rng(1).normal(size=(256, 4)).astype(np.float32)
    labels = (rows[:, 0] > rows[:, 1]).astype(np.float32)
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(rows, labels, epochs=8, verbose=0).history
    print(f"trained weights: {len(model.trainable_weights)}, accuracy {history['accuracy'][-1]:.2f}")
    assert len(model.trainable_weights) == 2  # those of the head
    assert history["loss"][-1] < history["loss"][0]

    exported = td.export_model(model, Path(folder) / "scores", examples={"serving_default": {"row": rows[:4]}})
    with td.load_model(exported.path) as served:
        np.testing.assert_allclose(served.predict(rows[:4])["score"], model.predict(rows[:4], verbose=0), rtol=1e-4)
    print(f"exported {exported.path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
