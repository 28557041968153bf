# SPDX-License-Identifier: Apache-2.0
"""Sonnet: modules of TensorFlow without Keras."""

from __future__ import annotations

from zoo.specimen import Library, Specimen, rows


def perceptron() -> Specimen:
    import sonnet as snt
    import tensorflow as tf

    tf.random.set_seed(1)
    network = snt.nets.MLP([16, 3])
    asked = rows(3, 5)
    answer = {"logits": network(asked).numpy()}
    module = tf.Module()
    module.network = network
    module.serving_default = tf.function(
        lambda row: {"logits": network(row)}, input_signature=[tf.TensorSpec((None, 5), tf.float32, name="row")]
    )
    return Specimen(module, {"row": asked}, answer)


def long_memory() -> Specimen:
    """An LSTM, unrolled by sonnet, that returns every step and its last state."""
    import sonnet as snt
    import tensorflow as tf

    tf.random.set_seed(2)
    core = snt.LSTM(4)

    def states(series):
        start = core.initial_state(tf.shape(series)[0])
        every, last = snt.dynamic_unroll(core, tf.transpose(series, (1, 0, 2)), start)
        return {"every": tf.transpose(every, (1, 0, 2)), "hidden": last.hidden, "cell": last.cell}

    asked = rows(2, 5, 3)
    answer = {name: value.numpy() for name, value in states(tf.constant(asked)).items()}
    module = tf.Module()
    module.core = core
    spec = tf.TensorSpec((None, 5, 3), tf.float32, name="series")
    module.serving_default = tf.function(states, input_signature=[spec])
    return Specimen(module, {"series": asked}, answer)


LIBRARY = Library(
    models={"perceptron": perceptron, "long_memory": long_memory},
    packages=("dm-sonnet", "dm-tree", "tabulate"),
)
