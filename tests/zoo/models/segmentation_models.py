# SPDX-License-Identifier: Apache-2.0
"""segmentation-models: segmentation networks over a classifier's layers (Keras 2)."""

from __future__ import annotations

import functools

from zoo.specimen import KERAS_2, Library, Specimen, rows


def masks(network: str, backbone: str) -> Specimen:
    import segmentation_models
    import tensorflow as tf

    from tfs_deploy import Signature

    tf.keras.utils.set_random_seed(1)
    model = getattr(segmentation_models, network)(
        backbone, input_shape=(64, 64, 3), classes=2, activation="softmax", encoder_weights=None
    )
    asked = rows(1, 64, 64, 3)
    signature = Signature(inputs={"image": ("float32", (None, 64, 64, 3))}, outputs=("mask",))
    answer = {"mask": model(asked, training=False).numpy()}
    return Specimen(model, {"image": asked}, answer, {"serving_default": signature})


LIBRARY = Library(
    models={
        "unet_mobilenet": functools.partial(masks, "Unet", "mobilenet"),
        "linknet_resnet18": functools.partial(masks, "Linknet", "resnet18"),
    },
    packages=(
        "segmentation-models",
        "keras-applications",
        "efficientnet",
        "image-classifiers",
        "tf-keras",
        "scikit-image",
        "lazy-loader",
        "pillow",
        "networkx",
        "scipy",
    ),
    environment=KERAS_2 | {"SM_FRAMEWORK": "tf.keras"},
)
