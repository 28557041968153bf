# SPDX-License-Identifier: Apache-2.0
"""jax: functions and flax networks converted by jax.experimental.jax2tf; the original is what jax computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from zoo.specimen import Library, Specimen, rows


def converted(function: Callable[[Any], dict], asked: np.ndarray, name: str) -> Specimen:
    import tensorflow as tf
    from jax.experimental import jax2tf

    free = "(b, " + ", ".join(map(str, asked.shape[1:])) + ")"
    module = tf.Module()
    module.serving_default = tf.function(
        jax2tf.convert(function, polymorphic_shapes=[free], with_gradient=False),
        input_signature=[tf.TensorSpec((None, *asked.shape[1:]), asked.dtype, name=name)],
        autograph=False,
    )
    answer = {key: np.asarray(value) for key, value in function(asked).items()}
    return Specimen(module, {name: asked}, answer, flags={"xla_cpu_compilation_enabled": True})  # jax leaves it to XLA


def perceptron() -> Specimen:
    import jax
    import jax.numpy as jnp

    first, second = (jnp.asarray(rows(*shape, seed=9) - 0.5) for shape in ((6, 16), (16, 3)))

    def probabilities(row):
        return {"probabilities": jax.nn.softmax(jnp.tanh(row @ first) @ second)}

    return converted(probabilities, rows(4, 6), "row")


def scan() -> Specimen:
    """A recurrence by jax.lax.scan, with the last state and all of them."""
    import jax
    import jax.numpy as jnp

    weights = jnp.asarray(rows(3, 3, seed=10) - 0.5)

    def states(series):
        def step(state, row):
            after = jnp.tanh(state @ weights + row)
            return after, after

        last, every = jax.lax.scan(step, jnp.zeros_like(series[:, 0]), jnp.swapaxes(series, 0, 1))
        return {"last": last, "every": jnp.swapaxes(every, 0, 1)}

    return converted(states, rows(2, 5, 3), "series")


def flax_network() -> Specimen:
    import flax.linen as nn
    import jax

    class Network(nn.Module):
        @nn.compact
        def __call__(self, image):
            hidden = nn.relu(nn.Conv(4, (3, 3))(image))
            return nn.Dense(5)(nn.avg_pool(hidden, (2, 2), (2, 2)).reshape((image.shape[0], -1)))

    network = Network()
    asked = rows(3, 8, 8, 1)
    weights = network.init(jax.random.key(0), asked)
    return converted(lambda image: {"logits": network.apply(weights, image)}, asked, "image")


LIBRARY = Library(
    models={"perceptron": perceptron, "scan": scan, "flax_network": flax_network},
    packages=("jax", "jaxlib", "flax", "msgpack", "optax", "scipy"),
)
