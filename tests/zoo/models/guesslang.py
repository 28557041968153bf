# SPDX-License-Identifier: Apache-2.0
"""guesslang: the SavedModel of an Estimator, of TensorFlow 2.5, that tells programming languages apart."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from zoo.specimen import Library, Specimen

SOURCES = (b"def f(x):\n    return x + 1\n", b"#include <stdio.h>\nint main(void) { return 0; }\n", b"SELECT 1;")


def languages() -> Specimen:
    import tensorflow as tf

    package = Path(importlib.util.find_spec("guesslang").origin).parent  # importing it needs tf.estimator
    saved = package / "data" / "model"
    asked = np.array(SOURCES, object)
    original = tf.saved_model.load(str(saved)).signatures["predict"]
    (name,) = original.structured_input_signature[1]
    answer = {key: value.numpy() for key, value in original(**{name: tf.constant(asked)}).items()}
    return Specimen(str(saved), {name: asked}, answer, signature="predict")


LIBRARY = Library(
    models={"languages": languages},
    packages=("guesslang",),
    always=("languages",),
)
