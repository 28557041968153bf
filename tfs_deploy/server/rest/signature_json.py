# SPDX-License-Identifier: Apache-2.0
"""SignatureDefs as the JSON of a metadata reply: all primitive fields are there, absent messages are not."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.server.inference.tensor_text import data_type

if TYPE_CHECKING:
    from collections.abc import Mapping


def signature_defs_json(definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a map of SignatureDef messages as JSON values."""
    return {name: _definition(message) for name, message in definitions.items()}


def _definition(message: Any) -> dict[str, Any]:
    return {
        "inputs": {name: tensor_info_json(info) for name, info in message.inputs.items()},
        "outputs": {name: tensor_info_json(info) for name, info in message.outputs.items()},
        "method_name": message.method_name,
        "defaults": {name: _default(tensor) for name, tensor in message.defaults.items()},
    }


def tensor_info_json(info: Any) -> dict[str, Any]:
    """Return a TensorInfo as JSON values."""
    found: dict[str, Any] = {}
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        names = ("values_tensor_name", "indices_tensor_name", "dense_shape_tensor_name")
        found["coo_sparse"] = {name: getattr(sparse, name) for name in names}
    elif encoding == "composite_tensor":
        found["composite_tensor"] = {
            "components": [tensor_info_json(part) for part in info.composite_tensor.components]
        }
    else:
        found["name"] = info.name
    found["dtype"] = data_type(info.dtype)
    if info.HasField("tensor_shape"):
        found["tensor_shape"] = {
            "dim": [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim],
            "unknown_rank": info.tensor_shape.unknown_rank,
        }
    return found


def _default(tensor: Any) -> dict[str, Any]:
    from google.protobuf import json_format

    # the option has had two names: protobuf 5.26 renamed it
    known = inspect.signature(json_format.MessageToDict).parameters
    everything = "always_print_fields_with_no_presence"
    option = everything if everything in known else "including_default_value_fields"
    document: dict[str, Any] = json_format.MessageToDict(
        tensor, preserving_proto_field_name=True, descriptor_pool=protos.pool(), **{option: True}
    )
    return document
