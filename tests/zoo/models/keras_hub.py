# SPDX-License-Identifier: Apache-2.0
"""keras-hub: language, speech and image networks at toy sizes with random weights."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, by_name, rows

SMALL = {"vocabulary_size": 50, "num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32}


def tokens(seed: int = 0) -> dict[str, np.ndarray]:
    """Two texts of seven tokens; the second one is padded."""
    ids = np.random.default_rng(seed).integers(1, 50, (2, 7), np.int32)
    mask = np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32)
    return {"token_ids": ids * mask, "padding_mask": mask}


def answered(model, inputs: dict[str, np.ndarray], outputs: tuple[str, ...], signature=None) -> Specimen:
    """Specimen of a network; a dict that it returns keeps its keys."""
    from tfs_deploy import Signature

    values = model(inputs if len(inputs) > 1 else next(iter(inputs.values())), training=False)
    answer = (
        {name: np.asarray(values[name]) for name in outputs} if isinstance(values, dict) else by_name(outputs, values)
    )
    return Specimen(model, inputs, answer, {"serving_default": signature or Signature(outputs=outputs)})


def bert_classifier() -> Specimen:
    import keras
    import keras_hub

    keras.utils.set_random_seed(1)
    backbone = keras_hub.models.BertBackbone(**SMALL, max_sequence_length=12)
    model = keras_hub.models.BertTextClassifier(backbone, num_classes=3, preprocessor=None, activation="softmax")
    inputs = tokens() | {"segment_ids": np.zeros((2, 7), np.int32)}
    return answered(model, inputs, ("probabilities",))


def gpt2() -> Specimen:
    import keras
    import keras_hub

    keras.utils.set_random_seed(2)
    backbone = keras_hub.models.GPT2Backbone(**SMALL, max_sequence_length=12)
    return answered(keras_hub.models.GPT2CausalLM(backbone, preprocessor=None), tokens(1), ("logits",))


def whisper() -> Specimen:
    """Speech to text: an encoder over a spectrogram and a decoder over tokens, two outputs."""
    import keras
    import keras_hub

    keras.utils.set_random_seed(3)
    model = keras_hub.models.WhisperBackbone(
        **SMALL, num_mels=8, max_encoder_sequence_length=20, max_decoder_sequence_length=12
    )
    given = tokens(2)
    inputs = {
        "encoder_features": rows(2, 20, 8),
        "decoder_token_ids": given["token_ids"],
        "decoder_padding_mask": given["padding_mask"],
    }
    return answered(model, inputs, ("encoder_sequence_output", "decoder_sequence_output"))


def vision_transformer() -> Specimen:
    import keras
    import keras_hub

    from tfs_deploy import Signature

    keras.utils.set_random_seed(4)
    model = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=(8, 8), num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    signature = Signature(inputs={"images": ("float32", (None, 32, 32, 3))}, outputs=("tokens",))
    return answered(model, {"images": rows(2, 32, 32, 3)}, ("tokens",), signature)


def resnet_classifier() -> Specimen:
    import keras
    import keras_hub

    from tfs_deploy import Signature

    keras.utils.set_random_seed(5)
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(32, 32, 3),
    )
    model = keras_hub.models.ResNetImageClassifier(backbone, num_classes=4, preprocessor=None)
    signature = Signature(inputs={"images": ("float32", (None, 32, 32, 3))}, outputs=("logits",))
    return answered(model, {"images": rows(2, 32, 32, 3)}, ("logits",), signature)


LIBRARY = Library(
    models={
        "bert_classifier": bert_classifier,
        "gpt2": gpt2,
        "whisper": whisper,
        "vision_transformer": vision_transformer,
        "resnet_classifier": resnet_classifier,
    },
    packages=("keras-hub", "regex", "tokenizers", "sentencepiece"),
)
