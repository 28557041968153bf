# SPDX-License-Identifier: Apache-2.0
"""Writes a model with a function that XLA must compile, called by another: ``python make_compiled.py FOLDER``."""

import sys

import tensorflow as tf

VECTOR = tf.TensorSpec([None], tf.float32, name="x")


class Compiled(tf.Module):
    @tf.function(jit_compile=True)
    def inner(self, x):
        return tf.tanh(x)

    @tf.function(input_signature=[VECTOR])
    def nested(self, x):
        return {"y": self.inner(x) * 2}

    @tf.function(input_signature=[VECTOR], jit_compile=True)
    def outer(self, x):
        return {"y": x * 2}

    @tf.function(input_signature=[VECTOR])
    def plain(self, x):
        return {"y": x * 2}


model = Compiled()
signatures = {"serving_default": model.nested, "outer": model.outer, "plain": model.plain}
tf.saved_model.save(model, f"{sys.argv[1]}/1", signatures=signatures)
