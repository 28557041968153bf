# SPDX-License-Identifier: Apache-2.0
"""Convert the variables of a TensorFlow 1 graph to resource variables.

Until TensorFlow 2 a variable was a tensor that other ops changed in place (``VariableV2``). TensorFlow 2 runs such a
graph, but cannot save what it has loaded: the variables would stay without values. A resource variable
(``VarHandleOp``) is read by an op of its own and keeps its name in the checkpoint.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OLD: Final = frozenset({"Variable", "VariableV2"})
#: what changes a variable in place and has no place in what is served
_CHANGES: Final = re.compile(r"(Assign|Scatter|(Sparse|Resource)?Apply|StridedSliceAssign|CountUpTo).*")
_VARIABLES: Final = ("variables", "trainable_variables", "local_variables", "model_variables")
#: collections that are read when a model is loaded, by the field that names ops in them
_LOADING: Final = ("saved_model_main_op", "legacy_init_op", "table_initializer", "asset_filepaths")
_KEPT: Final = (*_VARIABLES, *_LOADING, "saved_model_assets")


def has_old_variables(meta_graph: Any) -> bool:
    """Tell whether a MetaGraphDef has variables that are tensors."""
    return any(node.op in _OLD for node in meta_graph.graph_def.node)


def use_resource_variables(meta_graph: Any) -> None:
    """Change a MetaGraphDef in place: resource variables, and only the ops that loading and its signatures need.

    Raises:
        UsageError: what it serves changes variables in place.
    """
    from tensorflow.core.framework import variable_pb2

    for key in [key for key in meta_graph.collection_def if key not in _KEPT]:
        del meta_graph.collection_def[key]
    definitions = {}
    for key in _VARIABLES:
        if key in meta_graph.collection_def:
            values = meta_graph.collection_def[key].bytes_list.value
            definitions[key] = [variable_pb2.VariableDef.FromString(value) for value in values]
    described = [definition for group in definitions.values() for definition in group]
    _prune(meta_graph, described)
    old = {node.name: node for node in meta_graph.graph_def.node if node.op in _OLD}
    _convert_readers(meta_graph.graph_def, old)
    for node in old.values():
        _convert_variable(node)
    for key, group in definitions.items():
        for definition in group:
            definition.is_resource = definition.is_resource or _op(definition.variable_name) in old
        values = [definition.SerializeToString() for definition in group]
        meta_graph.collection_def[key].bytes_list.value[:] = values


def _prune(meta_graph: Any, definitions: Iterable[Any]) -> None:
    nodes = {node.name: node for node in meta_graph.graph_def.node}
    needed: set[str] = set()
    waiting = [_op(tensor) for tensor in _roots(meta_graph, definitions)]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            waiting += map(_op, nodes[name].input)
    kept = [node for node in meta_graph.graph_def.node if node.name in needed]
    del meta_graph.graph_def.node[:]
    meta_graph.graph_def.node.extend(kept)


def _roots(meta_graph: Any, definitions: Iterable[Any]) -> Iterator[str]:
    for signature in meta_graph.signature_def.values():
        yield from (info.name for info in (*signature.inputs.values(), *signature.outputs.values()))
    saver = meta_graph.saver_def
    yield from (saver.filename_tensor_name, saver.save_tensor_name, saver.restore_op_name)
    for key in _LOADING:
        if key in meta_graph.collection_def:
            yield from meta_graph.collection_def[key].node_list.value
    yield from (asset.tensor_info.name for asset in meta_graph.asset_file_def)
    for definition in definitions:
        yield from (definition.initializer_name, definition.snapshot_name, definition.initial_value_name)


def _convert_readers(graph: Any, old: dict[str, Any]) -> None:
    """Feed every op on an old variable with its value, or with its handle if the op assigns or reads it."""
    readers: dict[str, Any] = {}
    for node in list(graph.node):
        for position, tensor in enumerate(node.input):
            variable = old.get(_op(tensor)) if not tensor.startswith("^") else None
            if variable is None:
                continue
            if position == 0 and node.op in ("Assign", "Identity", "IsVariableInitialized"):
                _convert(node, variable)
            elif _CHANGES.fullmatch(node.op):
                raise UsageError(
                    f"the model changes its variable {variable.name!r} by {node.op} {node.name!r} when it is called or "
                    "loaded, so nothing can be built around it",
                    hint="its own signatures can be renamed or left out: Signature('NAME', inputs={'new': 'existing'})",
                )
            else:
                if variable.name not in readers:
                    readers[variable.name] = _reader(graph, variable)
                node.input[position] = readers[variable.name].name


def _convert(node: Any, variable: Any) -> None:
    """Turn an op on an old variable into the one on a resource variable."""
    op, dtype = node.op, variable.attr["dtype"].type
    for key in [key for key in node.attr if not key.startswith("_")]:
        del node.attr[key]
    node.op = {"Assign": "AssignVariableOp", "Identity": "ReadVariableOp"}.get(op, "VarIsInitializedOp")
    node.input[0] = variable.name
    if op != "IsVariableInitialized":
        node.attr["dtype"].type = dtype


def _reader(graph: Any, variable: Any) -> Any:
    node = graph.node.add(name=f"{variable.name}/value_of_resource", op="ReadVariableOp", input=[variable.name])
    node.device = variable.device
    node.attr["dtype"].type = variable.attr["dtype"].type
    return node


def _convert_variable(node: Any) -> None:
    node.op = "VarHandleOp"
    for key in [key for key in node.attr if key not in ("dtype", "shape", "container", "shared_name", "_class")]:
        del node.attr[key]
    if not node.attr["shared_name"].s:
        node.attr["shared_name"].s = node.name.encode()


def _op(tensor: str) -> str:
    """Return the op in an input of a node: ``name:1`` and ``^name`` are of ``name``."""
    return tensor.lstrip("^").partition(":")[0]
