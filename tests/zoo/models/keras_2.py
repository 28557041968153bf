# SPDX-License-Identifier: Apache-2.0
"""tf-keras: Keras 2 as it still is, functional and subclassed."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, by_name, rows


def functional() -> Specimen:
    import tf_keras

    tf_keras.utils.set_random_seed(1)
    series = tf_keras.Input((None, 4), name="series")
    hidden = tf_keras.layers.LSTM(6, return_sequences=True)(tf_keras.layers.Masking()(series))
    model = tf_keras.Model(series, tf_keras.layers.Dense(2, name="forecast")(hidden))
    asked = rows(2, 5, 4)
    return Specimen(model, {"series": asked}, by_name(("forecast",), model(asked)))


def subclassed() -> Specimen:
    """A model whose call takes a dict; its build learned names and dtypes from the first call."""
    import tensorflow as tf
    import tf_keras

    tf_keras.utils.set_random_seed(2)

    class Towers(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.user = tf_keras.layers.Embedding(10, 4)
            self.item = tf_keras.layers.Dense(4)

        def call(self, features, training=False):
            return {"score": tf.reduce_sum(self.user(features["user"]) * self.item(features["item"]), 1)}

    model = Towers()
    inputs = {"user": np.array([1, 7, 3], np.int64), "item": rows(3, 5)}
    answer = model({name: tf.constant(value) for name, value in inputs.items()})
    return Specimen(model, inputs, {"score": answer["score"].numpy()})


LIBRARY = Library(models={"functional": functional, "subclassed": subclassed}, packages=("tf-keras",))
