# SPDX-License-Identifier: Apache-2.0
"""GPflow: a Gaussian process given observations (float64)."""

from __future__ import annotations

import numpy as np

from zoo.specimen import KERAS_2, Library, Specimen


def regression() -> Specimen:
    import gpflow
    import tensorflow as tf

    seen = np.linspace(0, 6, 12)[:, None]
    process = gpflow.models.GPR((seen, np.sin(seen)), gpflow.kernels.Matern52(), noise_variance=1e-2)
    asked = np.array([[0.5], [2.0], [7.5]])
    mean, variance = process.predict_f(asked)
    module = tf.Module()
    module.process = process
    module.serving_default = tf.function(
        lambda point: dict(zip(("mean", "variance"), process.predict_f(point), strict=True)),
        input_signature=[tf.TensorSpec((None, 1), tf.float64, name="point")],
    )
    answer = {"mean": mean.numpy(), "variance": variance.numpy()}
    return Specimen(module, {"point": asked}, answer, rtol=1e-7, atol=1e-9)


LIBRARY = Library(
    models={"regression": regression},
    packages=(
        "gpflow",
        "check-shapes",
        "lark",
        "deprecated",
        "multipledispatch",
        "tabulate",
        "tensorflow-probability",
        "tf-keras",
        "dm-tree",
        "decorator",
        "dropstackframe",
        "scipy",
        "cloudpickle",
    ),
    environment=KERAS_2,
)
