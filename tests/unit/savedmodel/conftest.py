# SPDX-License-Identifier: Apache-2.0
"""SavedModels written by hand, message by message, so that each holds exactly one thing worth finding."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy import protos
from tfs_deploy.protos.signatures import DTYPE_NUMBERS, PREDICT_METHOD

DATA = Path(__file__).parents[2] / "data" / "models"


def set_attribute(attribute: Any, value: Any) -> None:
    """Fill an AttrValue: a number, a truth value, text, ``("func", name)``, ``("type", name)``, strings of a Const."""
    if isinstance(value, bool):
        attribute.b = value
    elif isinstance(value, int):
        attribute.i = value
    elif isinstance(value, bytes):
        attribute.s = value
    elif isinstance(value, list):
        attribute.tensor.dtype = DTYPE_NUMBERS["string"]
        attribute.tensor.tensor_shape.dim.add(size=len(value))
        attribute.tensor.string_val.extend(value)
    elif value[0] == "func":
        attribute.func.name = value[1]
    elif value[0] == "funcs":
        for name in value[1:]:
            attribute.list.func.add(name=name)
    else:
        attribute.type = DTYPE_NUMBERS[value[1]]


def fill_node(node: Any, name: str, op: str, inputs: Any = (), attributes: Any = None) -> None:
    """Fill a NodeDef."""
    node.name, node.op = name, op
    node.input.extend(inputs)
    for key, value in (attributes or {}).items():
        set_attribute(node.attr[key], value)


def fill_tensor(info: Any, name: str, dtype: str, shape: Any) -> None:
    """Fill a TensorInfo; ``shape`` is ``None`` for an unknown rank."""
    info.name, info.dtype = name, DTYPE_NUMBERS[dtype]
    if shape is None:
        info.tensor_shape.unknown_rank = True
    else:
        info.tensor_shape.SetInParent()
        for size in shape:
            info.tensor_shape.dim.add(size=-1 if size is None else size)


def fill_signature(definition: Any, inputs: Any, outputs: Any, method: str, defaults: Any = ()) -> None:
    """Fill a SignatureDef; tensors are ``name: (dtype, shape)`` or ``name: (dtype, shape, tensor)``."""
    definition.method_name = method
    for side, tensors in ((definition.inputs, inputs), (definition.outputs, outputs)):
        for name, (dtype, shape, *tensor) in tensors.items():
            fill_tensor(side[name], tensor[0] if tensor else f"{name}:0", dtype, shape)
    for name in defaults:
        definition.defaults[name].dtype = DTYPE_NUMBERS[inputs[name][0]]


X = {"x": ("float32", (None, 2))}
Y = {"y": ("float32", (None,))}


class ModelWriter:
    """Writes version directories below a base path."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def __call__(
        self,
        version: str = "1",
        *,
        nodes: Any = (),
        functions: Any = None,
        signatures: Any = None,
        tags: Any = ("serve",),
        tensorflow: str = "2.16.1",
        assets: Any = (),
    ) -> Path:
        """Write a model whose signature ``serving_default`` computes ``y`` from ``x``, unless told otherwise."""
        model = protos.SavedModel(saved_model_schema_version=1)
        meta = model.meta_graphs.add()
        meta.meta_info_def.tags.extend(tags)
        meta.meta_info_def.tensorflow_version = tensorflow
        meta.graph_def.versions.producer = 1882
        plain = [("x", "Placeholder"), ("y", "Identity", ["x"])]
        for node in nodes or plain:
            fill_node(meta.graph_def.node.add(), *node)
        for name, body in (functions or {}).items():
            function = meta.graph_def.library.function.add()
            function.signature.name = name
            for node in body:
                fill_node(function.node_def.add(), *node)
        for name, (inputs, outputs, *more) in (
            {"serving_default": (X, Y)} if signatures is None else signatures
        ).items():
            fill_signature(meta.signature_def[name], inputs, outputs, *(more or [PREDICT_METHOD]))
        for name in assets:
            meta.asset_file_def.add(filename=name).tensor_info.name = "asset:0"
        folder = self.base / version
        folder.mkdir(parents=True)
        (folder / "saved_model.pb").write_bytes(model.SerializeToString(deterministic=True))
        return folder


@pytest.fixture
def write_model(tmp_path: Path) -> ModelWriter:
    """A function that writes hand-made version directories below ``tmp_path / "base"``."""
    return ModelWriter(tmp_path / "base")


@pytest.fixture
def copy_model(tmp_path: Path):
    """A function that copies one of the test models into a version directory and returns that."""

    def copy(name: str = "zoo/2", version: str = "7") -> Path:
        return Path(shutil.copytree(DATA / name, tmp_path / "copied" / version))

    return copy


REAL = (
    "zoo/1",
    "zoo/2",
    "saved_model_counter/00000123",
    "saved_model_half_plus_three/00000123",
    "saved_model_half_plus_two_cpu/00000123",
    "saved_model_half_plus_two_2_versions/00000124",
    "saved_model_half_plus_two_tf2_cpu/00000123",
    "saved_model_half_plus_two_cpu_with_saved_model_config/00000123",
)


@pytest.fixture(params=REAL)
def real_model(request: pytest.FixtureRequest) -> Path:
    """Each SavedModel of the test data in turn: TF1 and TF2."""
    return DATA / request.param
