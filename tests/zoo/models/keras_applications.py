# SPDX-License-Identifier: Apache-2.0
"""keras.applications: image networks with random weights, as small as their graphs allow."""

from __future__ import annotations

import functools

from zoo.specimen import Library, Specimen, by_name, rows

#: attribute of keras.applications, pixels a side, further arguments
FAMILIES = {
    "mobilenet_v3_small": ("MobileNetV3Small", 64, {}),
    "mobilenet": ("MobileNet", 64, {"alpha": 0.25}),
    "mobilenet_v2": ("MobileNetV2", 64, {"alpha": 0.35}),
    "efficientnet_v2_b0": ("EfficientNetV2B0", 64, {}),
    "densenet_121": ("DenseNet121", 64, {}),
    "resnet_50_v2": ("ResNet50V2", 64, {}),
    "xception": ("Xception", 96, {}),
}


def image_network(family: str) -> Specimen:
    import keras

    from tfs_deploy import Signature

    name, side, more = FAMILIES[family]
    keras.utils.set_random_seed(1)
    model = getattr(keras.applications, name)(input_shape=(side, side, 3), weights=None, classes=10, **more)
    images = rows(2, side, side, 3)
    signature = Signature(inputs={"image": ("float32", (None, side, side, 3))}, outputs=("probabilities",))
    answer = by_name(("probabilities",), model(images, training=False))
    return Specimen(model, {"image": images}, answer, {"serving_default": signature})


LIBRARY = Library(
    models={family: functools.partial(image_network, family) for family in FAMILIES},
    always=("mobilenet_v3_small",),
)
