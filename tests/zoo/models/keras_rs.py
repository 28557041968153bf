# SPDX-License-Identifier: Apache-2.0
"""keras-rs: layers of recommenders."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, rows


def deep_and_cross() -> Specimen:
    """DLRM: columns of two kinds, their pairwise products, and a cross network."""
    import keras
    import keras_rs

    keras.utils.set_random_seed(1)
    layers = keras.layers
    numbers = keras.Input((4,), name="numbers")
    item = keras.Input((), dtype="int32", name="item")
    user = keras.Input((), dtype="int64", name="user")
    vectors = [layers.Dense(8)(numbers), layers.Embedding(20, 8)(item), layers.Embedding(30, 8)(user)]
    hidden = layers.Concatenate()([keras_rs.layers.DotInteraction()(vectors), numbers])
    hidden = keras_rs.layers.FeatureCross(projection_dim=2)(hidden)
    model = keras.Model([numbers, item, user], layers.Dense(1, activation="sigmoid", name="click")(hidden))
    inputs = {
        "numbers": rows(3, 4),
        "item": np.array([1, 19, 4], np.int32),
        "user": np.array([29, 0, 7], np.int64),
    }
    return Specimen(model, inputs, {"click": np.asarray(model(list(inputs.values())))})


def retrieval() -> Specimen:
    """The best candidates for a query: scores and numbers of items."""
    import keras
    import keras_rs

    keras.utils.set_random_seed(2)
    query = keras.Input((), dtype="int32", name="user")
    vector = keras.layers.Embedding(10, 6)(query)
    best = keras_rs.layers.BruteForceRetrieval(
        candidate_embeddings=rows(12, 6) - 0.5, candidate_ids=np.arange(100, 112, dtype=np.int32), k=3
    )
    scores, items = best(vector)
    model = keras.Model(query, {"scores": scores, "items": items})
    asked = np.array([3, 9], np.int32)
    return Specimen(model, {"user": asked}, {name: np.asarray(value) for name, value in model(asked).items()})


LIBRARY = Library(models={"deep_and_cross": deep_and_cross, "retrieval": retrieval}, packages=("keras-rs",))
