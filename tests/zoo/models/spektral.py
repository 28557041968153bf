# SPDX-License-Identifier: Apache-2.0
"""Spektral: graph networks, called with a list of features and adjacency (Keras 2)."""

from __future__ import annotations

import numpy as np

from zoo.specimen import KERAS_2, Library, Specimen, rows


def graph(nodes: int = 6) -> np.ndarray:
    edges = (rows(2, nodes, nodes, seed=3) > 0.6).astype(np.float32)
    return np.maximum(edges, edges.transpose(0, 2, 1))


def node_classes() -> Specimen:
    """Attention between the nodes of each graph of a batch; a functional model."""
    import spektral
    import tensorflow as tf

    tf.keras.utils.set_random_seed(1)
    features = tf.keras.Input((None, 4), name="features")
    edges = tf.keras.Input((None, None), name="edges")
    hidden = spektral.layers.GATConv(8, attn_heads=2, activation="elu")([features, edges])
    output = tf.keras.layers.Dense(3, activation="softmax", name="classes")(hidden)
    model = tf.keras.Model([features, edges], output)
    inputs = {"features": rows(2, 6, 4), "edges": graph()}
    answer = model([tf.constant(value) for value in inputs.values()])
    return Specimen(model, inputs, {"classes": answer.numpy()})


def graph_convolution() -> Specimen:
    """spektral.models.GCN: subclassed, and it unpacks the list that it is called with."""
    import tensorflow as tf
    from spektral.models import GCN

    from tfs_deploy import Signature

    tf.keras.utils.set_random_seed(2)
    model = GCN(n_labels=3, channels=8)
    inputs = {"features": rows(2, 6, 4), "edges": graph()}
    answer = model([tf.constant(value) for value in inputs.values()])
    specs = {"features": ("float32", (None, None, 4)), "edges": ("float32", (None, None, None))}
    signature = Signature(inputs=specs, outputs=("classes",))
    return Specimen(model, inputs, {"classes": answer.numpy()}, {"serving_default": signature})


LIBRARY = Library(
    models={"node_classes": node_classes, "graph_convolution": graph_convolution},
    packages=(
        "spektral",
        "tf-keras",
        "networkx",
        "tqdm",
        "scipy",
        "joblib",
        "cloudpickle",
        "scikit-learn",
        "threadpoolctl",
        "narwhals",
    ),
    environment=KERAS_2,
)
