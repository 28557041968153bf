# SPDX-License-Identifier: Apache-2.0
"""mtcnn: the three networks of a face detector, with trained weights; subclassed models that return lists."""

from __future__ import annotations

import functools

from zoo.specimen import Library, Specimen, by_name, rows

#: pixels a side, outputs in the order of the list
STAGES = {"pnet": (24, ("boxes", "faces")), "rnet": (24, ("boxes", "faces")), "onet": (48, ("boxes", "marks", "faces"))}


def stage(name: str) -> Specimen:
    from mtcnn.network import onet, pnet, rnet
    from mtcnn.utils.tensorflow import load_weights

    from tfs_deploy import Signature

    side, outputs = STAGES[name]
    model = {"pnet": pnet.PNet, "rnet": rnet.RNet, "onet": onet.ONet}[name]()
    model.build()
    model.set_weights(load_weights(f"{name}.lz4"))
    asked = rows(2, side, side, 3) * 2 - 1
    shape = (None, None, None, 3) if name == "pnet" else (None, side, side, 3)
    signature = Signature(inputs={"image": ("float32", shape)}, outputs=outputs)
    return Specimen(model, {"image": asked}, by_name(outputs, model(asked)), {"serving_default": signature})


LIBRARY = Library(
    models={name: functools.partial(stage, name) for name in STAGES}, packages=("mtcnn", "lz4", "joblib", "cloudpickle")
)
