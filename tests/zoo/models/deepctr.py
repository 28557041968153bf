# SPDX-License-Identifier: Apache-2.0
"""DeepCTR: click-through models over named features (Keras 2)."""

from __future__ import annotations

import functools

import numpy as np

from zoo.specimen import KERAS_2, Library, Specimen

COUNT = 6


def features() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        "user": random.integers(0, 20, COUNT, np.int32),
        "gender": random.integers(0, 3, COUNT, np.int32),
        "item": random.integers(1, 30, COUNT, np.int32),
        "pay": random.random((COUNT, 1), np.float32),
    }


def scored(model, inputs: dict[str, np.ndarray], outputs: tuple[str, ...] = ("score",)) -> Specimen:
    import tensorflow as tf

    from tfs_deploy import Signature

    columns = {name: value.reshape(COUNT, -1) for name, value in inputs.items()}
    answers = model({name: tf.constant(value) for name, value in columns.items()}, training=False)
    several = answers if isinstance(answers, list) else [answers]
    answer = {name: each.numpy() for name, each in zip(outputs, several, strict=True)}
    return Specimen(model, columns, answer, {"serving_default": Signature(outputs=outputs)})


def click_model(name: str, **more) -> Specimen:
    import tensorflow as tf
    from deepctr import models
    from deepctr.feature_column import DenseFeat, SparseFeat

    tf.keras.utils.set_random_seed(1)
    columns = [SparseFeat("user", 20, 4), SparseFeat("gender", 3, 4), SparseFeat("item", 30, 4), DenseFeat("pay", 1)]
    return scored(getattr(models, name)(columns, columns, **more), features())


def interest() -> Specimen:
    """DIN: attention over the items that a user had, padded with 0."""
    import tensorflow as tf
    from deepctr.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
    from deepctr.models import DIN

    tf.keras.utils.set_random_seed(1)
    history = SparseFeat("hist_item", 30, 4, embedding_name="item")
    columns = [
        SparseFeat("user", 20, 4),
        SparseFeat("gender", 3, 4),
        SparseFeat("item", 30, 4),
        DenseFeat("pay", 1),
        VarLenSparseFeat(history, maxlen=5, length_name="seq_length"),
    ]
    random = np.random.default_rng(4)
    lengths = random.integers(1, 6, COUNT, np.int32)
    items = random.integers(1, 30, (COUNT, 5), np.int32) * (np.arange(5) < lengths[:, None])
    inputs = features() | {"hist_item": items.astype(np.int32), "seq_length": lengths}
    return scored(DIN(columns, ["item"], dnn_hidden_units=(16, 8)), inputs)


def two_tasks() -> Specimen:
    import tensorflow as tf
    from deepctr.feature_column import DenseFeat, SparseFeat
    from deepctr.models import MMOE

    tf.keras.utils.set_random_seed(1)
    columns = [SparseFeat("user", 20, 4), SparseFeat("gender", 3, 4), SparseFeat("item", 30, 4), DenseFeat("pay", 1)]
    model = MMOE(columns, num_experts=2, task_types=["binary", "regression"], task_names=["click", "price"])
    return scored(model, features(), ("click", "price"))


LIBRARY = Library(
    models={
        "deepfm": functools.partial(click_model, "DeepFM", dnn_hidden_units=(16, 8)),
        "xdeepfm": functools.partial(click_model, "xDeepFM", dnn_hidden_units=(16, 8), cin_layer_size=(8, 4)),
        "autoint": functools.partial(click_model, "AutoInt", dnn_hidden_units=(16, 8)),
        "din": interest,
        "mmoe": two_tasks,
    },
    packages=("deepctr", "tf-keras"),
    environment=KERAS_2,
)
