# SPDX-License-Identifier: Apache-2.0
"""keras-self-attention: attention layers over sequences with a mask (Keras 2)."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen

KERAS = {"TF_USE_LEGACY_KERAS": "1", "TF_KERAS": "1"}


def tagged() -> Specimen:
    import tensorflow as tf
    from keras_self_attention import SeqSelfAttention, SeqWeightedAttention

    tf.keras.utils.set_random_seed(1)
    tokens = tf.keras.Input((None,), dtype="int32", name="tokens")
    hidden = tf.keras.layers.Embedding(20, 8, mask_zero=True)(tokens)
    hidden = SeqSelfAttention(attention_width=5, attention_activation="sigmoid")(hidden)
    outputs = {
        "tags": tf.keras.layers.Dense(4, name="tags")(hidden),
        "topic": tf.keras.layers.Dense(2, name="topic")(SeqWeightedAttention()(hidden)),
    }
    model = tf.keras.Model(tokens, outputs)
    asked = np.array([[3, 4, 5, 6, 7, 0, 0], [9, 8, 7, 6, 5, 4, 3]], np.int32)
    return Specimen(model, {"tokens": asked}, {name: value.numpy() for name, value in model(asked).items()})


LIBRARY = Library(models={"tagged": tagged}, packages=("keras-self-attention", "tf-keras"), environment=KERAS)
