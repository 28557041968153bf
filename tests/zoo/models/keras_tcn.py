# SPDX-License-Identifier: Apache-2.0
"""keras-tcn: temporal convolutional networks over sequences of any length."""

from __future__ import annotations

from zoo.specimen import Library, Specimen, by_name, rows


def sequence(**more: object) -> Specimen:
    import keras
    from tcn import TCN

    keras.utils.set_random_seed(7)
    series = keras.Input((None, 3), name="series")
    hidden = TCN(nb_filters=8, kernel_size=3, dilations=(1, 2, 4), **more)(series)
    model = keras.Model(series, keras.layers.Dense(2, name="forecast")(hidden))
    asked = rows(2, 12, 3)
    return Specimen(model, {"series": asked}, by_name(("forecast",), model(asked, training=False)))


def labels_by_step() -> Specimen:
    return sequence(return_sequences=True, use_skip_connections=False, use_layer_norm=True, dropout_rate=0.3)


LIBRARY = Library(
    models={"forecast": sequence, "labels_by_step": labels_by_step}, packages=("keras-tcn",), always=("forecast",)
)
