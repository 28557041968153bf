# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Text: tokens of text, by ops of a library that a server has to load."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.specimen import Library, Specimen


def tokens() -> Specimen:
    """Token by token, padded: the words, and the numbers of their pieces."""
    import tensorflow as tf
    import tensorflow_text as text

    vocabulary = ["[UNK]", "good", "film", "##s", "bad"]
    table = tf.lookup.StaticVocabularyTable(
        tf.lookup.KeyValueTensorInitializer(vocabulary, np.arange(len(vocabulary), dtype=np.int64)), 1
    )
    pieces = text.BertTokenizer(table, token_out_type=tf.int64, lower_case=True)

    def tokenize(line):
        return {"pieces": pieces.tokenize(line).merge_dims(1, 2).to_tensor(-1)}

    module = tf.Module()
    module.table = table
    module.serving_default = tf.function(tokenize, input_signature=[tf.TensorSpec((None,), tf.string, name="line")])
    asked = np.array([b"Good films", b"bad", b"a film"], object)
    answer = {name: value.numpy() for name, value in tokenize(tf.constant(asked)).items()}
    libraries = tuple(Path(text.__file__).parent.glob("python/ops/_*.so"))
    return Specimen(module, {"line": asked}, answer, op_libraries=libraries)


LIBRARY = Library(models={"tokens": tokens}, packages=("tensorflow-text",))
