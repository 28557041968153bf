# SPDX-License-Identifier: Apache-2.0
"""nbeats-keras: forecasts of a series by stacks of blocks (Keras 2)."""

from __future__ import annotations

from zoo.specimen import KERAS_2, Library, Specimen, rows


def forecast() -> Specimen:
    import tensorflow as tf
    from nbeats_keras.model import NBeatsNet

    from tfs_deploy import Signature

    tf.keras.utils.set_random_seed(1)
    network = NBeatsNet(backcast_length=10, forecast_length=3, nb_blocks_per_stack=1, hidden_layer_units=16)
    model = network.models[NBeatsNet._FORECAST]
    asked = rows(2, 10, 1)
    signature = Signature(inputs={"series": ("float32", (None, 10, 1))}, outputs=("forecast",))
    return Specimen(model, {"series": asked}, {"forecast": model(asked).numpy()}, {"serving_default": signature})


LIBRARY = Library(models={"forecast": forecast}, packages=("nbeats-keras", "tf-keras"), environment=KERAS_2)
