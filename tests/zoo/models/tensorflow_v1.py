# SPDX-License-Identifier: Apache-2.0
"""Graphs of TensorFlow 1, as tf.compat.v1 still writes them."""

from __future__ import annotations

import numpy as np

from zoo.specimen import Library, Specimen, rows


def session() -> Specimen:
    """A session with reference variables, batch statistics, a table and a placeholder that has a default."""
    import tensorflow as tf

    from tfs_deploy import Signature

    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        v1.set_random_seed(6)
        image = v1.placeholder(tf.float32, (None, 8, 8, 1), "image")
        training = v1.placeholder_with_default(input=False, shape=(), name="training")
        with v1.variable_scope("net", use_resource=False):
            kernel = v1.get_variable("kernel", (3, 3, 1, 4), initializer=v1.glorot_uniform_initializer())
            mean = v1.get_variable("mean", (4,), initializer=v1.constant_initializer(0.1), trainable=False)
            dense = v1.get_variable("dense", (4, 3), initializer=v1.glorot_normal_initializer())
        hidden = tf.nn.conv2d(image, kernel, 1, "SAME")
        hidden = tf.cond(training, lambda: hidden - tf.reduce_mean(hidden, (0, 1, 2)), lambda: hidden - mean)
        logits = tf.linalg.matmul(tf.reduce_mean(tf.nn.relu(hidden), (1, 2)), dense, name="logits")
        words = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.range(3, dtype=tf.int64), tf.constant(["cat", "dog", "owl"])), "?"
        )
        word = tf.identity(words.lookup(tf.argmax(logits, 1)), "word")
        opened = v1.Session(graph=graph)
        opened.run([v1.global_variables_initializer(), v1.tables_initializer()])
    asked = rows(3, 8, 8, 1)
    logits_of, word_of = opened.run([logits, word], {image: asked})
    signature = Signature(inputs={"image": "image:0"}, outputs={"logits": "logits:0", "word": "word:0"})
    return Specimen(opened, {"image": asked}, {"logits": logits_of, "word": word_of}, {"serving_default": signature})


def frozen_graph() -> Specimen:
    """A GraphDef with its weights as constants and a loop of TensorFlow 1 (Enter, Merge, Switch)."""
    import tensorflow as tf

    from tfs_deploy import Signature

    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    graph = tf.Graph()
    with graph.as_default():
        value = v1.placeholder(tf.float32, (None, 4), "value")
        weights = tf.constant(rows(4, 4, seed=8) - 0.5)
        steps = tf.constant(5)
        _, state = v1.while_loop(
            lambda step, _: step < steps, lambda step, state: (step + 1, tf.tanh(state @ weights)), (0, value)
        )
        tf.identity(state, "state")
    v1.enable_control_flow_v2()
    asked = rows(3, 4)
    state_of = asked
    for _ in range(5):
        state_of = np.tanh(state_of @ (rows(4, 4, seed=8) - np.float32(0.5)))
    signature = Signature(inputs={"value": "value:0"}, outputs={"state": "state:0"})
    answer = {"state": state_of}
    return Specimen(graph.as_graph_def(), {"value": asked}, answer, {"serving_default": signature})


LIBRARY = Library(models={"session": session, "frozen_graph": frozen_graph}, always=("session",))
