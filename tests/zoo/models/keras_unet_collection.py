# SPDX-License-Identifier: Apache-2.0
"""keras-unet-collection: U-Nets for segmentation."""

from __future__ import annotations

from zoo.specimen import KERAS_2, Library, Specimen, by_name, rows


def masks(model) -> Specimen:
    from tfs_deploy import Signature

    asked = rows(2, 32, 32, 3)
    signature = Signature(inputs={"image": ("float32", (None, 32, 32, 3))}, outputs=("mask",))
    answer = by_name(("mask",), model(asked, training=False))
    return Specimen(model, {"image": asked}, answer, {"serving_default": signature})


def unet() -> Specimen:
    import tensorflow as tf
    from keras_unet_collection import models

    tf.keras.utils.set_random_seed(1)
    return masks(models.unet_2d((32, 32, 3), [4, 8, 16], n_labels=2, unpool=False, output_activation="Softmax"))


def attention_unet() -> Specimen:
    import tensorflow as tf
    from keras_unet_collection import models

    tf.keras.utils.set_random_seed(2)
    return masks(models.att_unet_2d((32, 32, 3), [4, 8, 16], n_labels=2, output_activation="Sigmoid"))


LIBRARY = Library(
    models={"unet": unet, "attention_unet": attention_unet},
    packages=("keras-unet-collection", "tf-keras", "pillow"),
    environment=KERAS_2,
)
