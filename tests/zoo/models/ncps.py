# SPDX-License-Identifier: Apache-2.0
"""ncps: liquid networks, recurrent layers with a wiring."""

from __future__ import annotations

from zoo.specimen import Library, Specimen, by_name, rows


def closed_form() -> Specimen:
    import keras
    from ncps.keras import CfC
    from ncps.wirings import AutoNCP

    keras.utils.set_random_seed(1)
    series = keras.Input((None, 3), name="series")
    model = keras.Model(
        series, keras.layers.Identity(name="control")(CfC(AutoNCP(12, 2), return_sequences=True)(series))
    )
    asked = rows(2, 6, 3)
    return Specimen(model, {"series": asked}, by_name(("control",), model(asked)))


LIBRARY = Library(models={"closed_form": closed_form}, packages=("ncps",), always=("closed_form",))
