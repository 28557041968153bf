# SPDX-License-Identifier: Apache-2.0
"""musicnn: checkpoints of TensorFlow 1.x with trained weights, saved as ``saver.save(session, "folder/")``."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np

from zoo.specimen import Library, Specimen, rows


def tags(network: str) -> Specimen:
    import tensorflow as tf

    from tfs_deploy import Signature

    v1 = tf.compat.v1
    folder = Path(importlib.util.find_spec("musicnn").origin).parent / network
    meta = v1.MetaGraphDef()
    meta.ParseFromString((folder / ".meta").read_bytes())
    for node in meta.graph_def.node:
        node.attr.pop("_output_shapes", None)  # a hint, wrong for gradients of batch normalisation
    graph = v1.graph_util.extract_sub_graph(meta.graph_def, ["model/Sigmoid", "save/restore_all"])
    asked = rows(2, 187, 96)
    with tf.Graph().as_default() as opened, v1.Session() as session:
        tf.import_graph_def(graph, name="")
        (training,) = (
            each.name
            for each in opened.get_operations()
            if each.type == "Placeholder" and each.outputs[0].dtype == tf.bool
        )
        feeds = {"model/Placeholder:0": asked, f"{training}:0": False}
        session.run("save/restore_all", {"save/Const:0": f"{folder}/"})
        answer = {"tags": session.run("model/Sigmoid:0", feeds)}
    signature = Signature(
        inputs={"mel": "model/Placeholder:0", "is_training": f"{training}:0"}, outputs={"tags": "model/Sigmoid:0"}
    )
    inputs = {"mel": asked, "is_training": np.array(False)}
    return Specimen(f"{folder}/", inputs, answer, {"serving_default": signature})


LIBRARY = Library(
    models={"mtt_musicnn": functools.partial(tags, "MTT_musicnn"), "msd_vgg": functools.partial(tags, "MSD_vgg")},
    packages=("musicnn",),
)
