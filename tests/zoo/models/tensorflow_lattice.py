# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lattice: calibrated, monotonic models (Keras 2)."""

from __future__ import annotations

import numpy as np

from zoo.specimen import KERAS_2, Library, Specimen, by_name, rows


def calibrated() -> Specimen:
    import tensorflow as tf
    import tensorflow_lattice as tfl

    tf.keras.utils.set_random_seed(1)
    age = tf.keras.Input((1,), name="age")
    rooms = tf.keras.Input((1,), name="rooms")
    knots = np.linspace(0, 1, 5)
    corners = [
        tfl.layers.PWLCalibration(knots, output_min=0.0, output_max=1.0, monotonicity="increasing")(age),
        tfl.layers.PWLCalibration(knots, output_min=0.0, output_max=1.0, convexity="convex")(rooms),
    ]
    price = tfl.layers.Lattice([2, 2], monotonicities=["increasing", "none"], name="price")(corners)
    model = tf.keras.Model([age, rooms], price)
    inputs = {"age": rows(4, 1), "rooms": rows(4, 1, seed=1)}
    return Specimen(model, inputs, by_name(("price",), model([tf.constant(each) for each in inputs.values()])))


LIBRARY = Library(models={"calibrated": calibrated}, packages=("tensorflow-lattice", "tf-keras"), environment=KERAS_2)
