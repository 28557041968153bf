#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several signatures of one model, and how to call each.   usage: multiple_signatures.py [FOLDER]

The signatures share the variables: probabilities, the best two classes by name, and the features below them. A client
asks for one by ``signature=``; over REST it is ``"signature_name"``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfs_deploy as td

LABELS = ("circle", "square", "star")


def main(folder: str = "models") -> None:
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8), name="image")
    features = keras.layers.Dense(16, activation="relu", name="features")(keras.layers.Flatten()(image))
    model = keras.Model(image, keras.layers.Dense(len(LABELS), activation="softmax", name="probabilities")(features))
    embed = keras.Model(image, features)

    def best_two(image: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, places = tf.math.top_k(model(image), 2)
        return {"scores": scores, "labels": tf.gather(tf.constant(LABELS), places)}

    inputs = {"image": ("float32", (None, 8, 8))}
    images = np.random.default_rng(1).random((4, 8, 8), np.float32)
    exported = td.export_model(
        model,
        Path(folder) / "shapes",
        signatures={
            "serving_default": td.Signature(outputs=["probabilities"]),
            "best_two": td.Signature(best_two, inputs=inputs),
            "features": td.Signature(lambda image: {"features": embed(image)}, inputs=inputs),
        },
        examples={name: {"image": images} for name in ("serving_default", "best_two", "features")},
    )

    with td.load_model(exported.path) as served:
        for name in ("serving_default", "best_two", "features"):
            reply = served.predict({"image": images}, signature=name)
            print(name, {key: (value.dtype.name, value.shape) for key, value in reply.items()})
        best = served.predict({"image": images}, signature="best_two")["labels"][:, 0]
        probabilities = served.predict({"image": images})["probabilities"]
    assert [label.decode() for label in best] == [LABELS[place] for place in probabilities.argmax(1)]


if __name__ == "__main__":
    main(*sys.argv[1:])
