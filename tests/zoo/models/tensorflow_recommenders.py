# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Recommenders: ranking, cross features and retrieval (Keras 2)."""

from __future__ import annotations

import numpy as np

from zoo.specimen import KERAS_2, Library, Specimen, rows

USERS = np.array([b"ann", b"bob", b"nobody"], object)
FILMS = np.array([b"alien", b"heat", b"jaws"], object)


def ranking() -> Specimen:
    """The tutorial's ranking model: a subclassed model that takes a dict of strings."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    tf.keras.utils.set_random_seed(1)
    layers = tf.keras.layers

    class Ranking(tfrs.models.Model):
        def __init__(self):
            super().__init__()
            self.user = tf.keras.Sequential([layers.StringLookup(vocabulary=["ann", "bob"]), layers.Embedding(3, 4)])
            self.film = tf.keras.Sequential([layers.StringLookup(vocabulary=list(FILMS)), layers.Embedding(4, 4)])
            self.rating = tf.keras.Sequential([layers.Dense(8, "relu"), layers.Dense(1)])
            self.task = tfrs.tasks.Ranking(tf.keras.losses.MeanSquaredError())

        def call(self, features):
            pair = [self.user(features["user_id"]), self.film(features["movie_title"])]
            return {"rating": self.rating(tf.concat(pair, 1))}

        def compute_loss(self, features, training=False):
            return self.task(features["rating"], self(features)["rating"])

    model = Ranking()
    inputs = {"user_id": USERS, "movie_title": FILMS}
    answer = model({name: tf.constant(value) for name, value in inputs.items()})
    return Specimen(model, inputs, {"rating": answer["rating"].numpy()})


def cross_network() -> Specimen:
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    tf.keras.utils.set_random_seed(2)
    features = tf.keras.Input((6,), name="features")
    crossed = tfrs.layers.dcn.Cross(projection_dim=3, kernel_initializer="glorot_uniform")
    hidden = tfrs.layers.dcn.Cross(kernel_initializer="glorot_uniform")(features, crossed(features))
    model = tf.keras.Model(features, tf.keras.layers.Dense(1, name="score")(hidden))
    asked = rows(4, 6)
    return Specimen(model, {"features": asked}, {"score": model(asked).numpy()})


def retrieval() -> Specimen:
    """BruteForce: the best films for a user, as scores and titles."""
    import tensorflow as tf
    import tensorflow_recommenders as tfrs

    from tfs_deploy import Signature

    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    users = tf.keras.Sequential([layers.StringLookup(vocabulary=["ann", "bob"]), layers.Embedding(3, 4)])
    index = tfrs.layers.factorized_top_k.BruteForce(users, k=2)
    index.index(tf.constant(rows(3, 4, seed=5) - 0.5), tf.constant(FILMS))
    scores, titles = index(tf.constant(USERS))
    signature = Signature(inputs={"user_id": ("string", (None,))}, outputs=("scores", "titles"))
    answer = {"scores": scores.numpy(), "titles": titles.numpy()}
    return Specimen(index, {"user_id": USERS}, answer, {"serving_default": signature})


LIBRARY = Library(
    models={"ranking": ranking, "cross_network": cross_network, "retrieval": retrieval},
    packages=("tensorflow-recommenders", "tf-keras"),
    environment=KERAS_2,
)
