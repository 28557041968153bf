# SPDX-License-Identifier: Apache-2.0
"""SavedModels written node by node, for what TensorFlow's Python API does not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy import protos
from tfs_deploy.protos.signatures import DTYPE_NUMBERS, PREDICT_METHOD
from tfs_deploy.savedmodel.graph.shape_hints import SHAPE_HINT

if TYPE_CHECKING:
    from pathlib import Path


def write_identity(folder: Path, dtype: str, *, noted: int | None = None) -> Path:
    """Write a model whose output ``y`` is its input ``x``, of any dtype, and return its folder.

    ``noted``: a size that the graph notes for ``y`` as TensorFlow 1 did, while ``x`` is of size 3.
    """
    model = protos.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    fed = graph.graph_def.node.add(name="x", op="Placeholder")
    fed.attr["dtype"].type = DTYPE_NUMBERS[dtype]
    answer = graph.graph_def.node.add(name="y", op="Identity", input=["x"])
    answer.attr["T"].type = DTYPE_NUMBERS[dtype]
    if noted is not None:
        fed.attr["shape"].shape.dim.add(size=3)
        answer.attr[SHAPE_HINT].list.shape.add().dim.add(size=noted)
    definition = graph.signature_def["serving_default"]
    definition.method_name = PREDICT_METHOD
    for side, name in (("inputs", "x"), ("outputs", "y")):
        info = getattr(definition, side)[name]
        info.name, info.dtype = f"{name}:0", DTYPE_NUMBERS[dtype]
        info.tensor_shape.dim.add(size=-1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder
