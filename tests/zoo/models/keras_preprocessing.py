# SPDX-License-Identifier: Apache-2.0
"""Keras' own preprocessing layers: text, columns of a table, images and sequences."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, by_name, rows

WORDS = np.array(["the film was good", "a bad film", "good good good", "what was that"], object)


def texts() -> Specimen:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(2)
    vectorize = keras.layers.TextVectorization(50, output_sequence_length=6, ngrams=2)
    vectorize.adapt(WORDS)
    text = keras.Input((), dtype="string", name="text")
    hidden = keras.layers.Embedding(50, 8, mask_zero=True)(vectorize(text))
    hidden = keras.layers.Bidirectional(keras.layers.GRU(6))(hidden)
    model = keras.Model(text, keras.layers.Dense(3, activation="softmax", name="sentiment")(hidden))
    asked = np.array([b"good film", b"never seen words", b""], object)
    return Specimen(model, {"text": asked}, by_name(("sentiment",), model(tf.constant(asked))))


def income() -> Specimen:
    """Columns of several dtypes by name, each with its layer."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(3)
    layers = keras.layers
    age = keras.Input((1,), name="age")
    hours = keras.Input((1,), dtype="int64", name="hours")
    job = keras.Input((1,), dtype="string", name="job")
    place = keras.Input((1,), dtype="string", name="place")
    scale = layers.Normalization()
    scale.adapt(np.array([[20.0], [40.0], [66.0]]))
    hidden = layers.Concatenate()(
        [
            scale(age),
            layers.CategoryEncoding(4, output_mode="one_hot")(layers.Discretization([10, 20, 40])(hours)),
            layers.StringLookup(vocabulary=["baker", "clerk"], output_mode="one_hot")(job),
            layers.Flatten()(layers.Embedding(11, 3)(layers.Hashing(11, salt=7)(place))),
        ]
    )
    outputs = {
        "income": layers.Dense(1, name="income")(layers.Dense(8, activation="relu")(hidden)),
        "known_job": layers.StringLookup(vocabulary=["baker", "clerk"])(job),
    }
    model = keras.Model({"age": age, "hours": hours, "job": job, "place": place}, outputs)
    inputs = {
        "age": np.array([[31], [58.5]], np.float32),
        "hours": np.array([[12], [55]], np.int64),
        "job": np.array([[b"clerk"], [b"pilot"]], object),
        "place": np.array([["Zürich".encode()], [b""]], object),
    }
    answer = model({name: tf.constant(value) for name, value in inputs.items()})
    return Specimen(model, inputs, {name: np.asarray(value) for name, value in answer.items()})


def transformer() -> Specimen:
    """A causal language model of one block, over tokens of any length."""
    import keras

    keras.utils.set_random_seed(4)
    layers = keras.layers
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    hidden = layers.Embedding(30, 16)(tokens)
    hidden = layers.LayerNormalization()(hidden + layers.MultiHeadAttention(2, 8)(hidden, hidden, use_causal_mask=True))
    model = keras.Model(tokens, layers.Dense(30, name="logits")(hidden))
    asked = np.random.default_rng(4).integers(0, 30, (2, 7), np.int32)
    return Specimen(model, {"tokens": asked}, by_name(("logits",), model(asked)))


def augmented_image() -> Specimen:
    """Layers that do something only in training stay out of the answer."""
    import keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((None, None, 3), dtype="uint8", name="image")
    # the other way round, Keras rounds in eager mode only: Resizing keeps uint8 there, and not in a graph
    hidden = layers.Resizing(16, 16)(layers.Rescaling(1 / 255)(image))
    hidden = layers.Dropout(0.5)(layers.RandomFlip()(layers.RandomRotation(0.2)(hidden)))
    hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(hidden))
    model = keras.Model(image, layers.Dense(2, name="score")(hidden))
    asked = (rows(2, 20, 30, 3) * 255).astype(np.uint8)
    return Specimen(model, {"image": asked}, by_name(("score",), model(asked, training=False)))


LIBRARY = Library(
    models={"texts": texts, "income": income, "transformer": transformer, "augmented_image": augmented_image},
    always=("income",),
)
