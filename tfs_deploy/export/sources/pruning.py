# SPDX-License-Identifier: Apache-2.0
"""The part of a TensorFlow 1 graph that its signatures need, without losses, optimizers and input pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_VARIABLE_OPS: Final = frozenset({"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"})


def variables_of(graph: Any) -> dict[str, Any]:
    """Return the variables of a graph by the name of their op."""
    import tensorflow as tf

    keys = tf.compat.v1.GraphKeys
    found = [*graph.get_collection(keys.GLOBAL_VARIABLES), *graph.get_collection(keys.LOCAL_VARIABLES)]
    return {variable.op.name: variable for variable in found}


def unfed_placeholders(outputs: Iterable[Any], inputs: Iterable[Any]) -> list[str]:
    """Return the placeholders (op names) that computing ``outputs`` would miss if only ``inputs`` are fed."""
    fed = {tensor.ref() for tensor in inputs}
    waiting, seen, missing = list(outputs), set(fed), set()
    while waiting:
        tensor = waiting.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.op.type == "Placeholder":
            missing.add(tensor.op.name)
        waiting += [*tensor.op.inputs, *(out for op in tensor.op.control_inputs for out in op.outputs)]
    return sorted(missing)


def pruned_meta_graph(graph: Any, roots: Iterable[str]) -> tuple[Any, list[str]]:
    """Return a MetaGraphDef of what ``roots`` (op names) need, and the names of its variables' ops.

    Variables keep their names and reading ops; each gets an initializer that is fed, so that the ops which made its
    first value stay behind. Tables keep their initializers. The graph itself is not changed.
    """
    import tensorflow as tf

    keys = tf.compat.v1.GraphKeys
    whole = graph.as_graph_def()
    nodes = {node.name: node for node in whole.node}
    with graph.as_default():  # variables refuse to describe themselves eagerly
        variables = {name: variable.to_proto() for name, variable in variables_of(graph).items()}
    needed = _reach(nodes, roots)
    tables = [op.name for op in graph.get_collection(keys.TABLE_INITIALIZERS) if _touches(nodes, op.name, needed)]
    needed |= _reach(nodes, tables)
    used = [name for name in variables if name in needed]
    needed |= _reach(nodes, [_op(variables[name].snapshot_name) for name in used if variables[name].snapshot_name])
    _refuse_unknown_variables(nodes, needed, variables)

    pruned = tf.compat.v1.MetaGraphDef()
    pruned.graph_def.versions.CopyFrom(whole.versions)
    pruned.graph_def.library.CopyFrom(whole.library)
    pruned.graph_def.node.extend(node for node in whole.node if node.name in needed)
    for node in pruned.graph_def.node:
        node.device = ""  # of the machine that trained
    for name in used:
        _add_variable(pruned, nodes[name], variables[name], keys.GLOBAL_VARIABLES)
    if tables:
        pruned.collection_def[keys.TABLE_INITIALIZERS].node_list.value.extend(tables)
    assets = [tensor.name for tensor in graph.get_collection(keys.ASSET_FILEPATHS) if tensor.op.name in needed]
    if assets:
        pruned.collection_def[keys.ASSET_FILEPATHS].node_list.value.extend(assets)
    return pruned, used


def _op(tensor: str) -> str:
    """Return the op in an input of a node: ``name:1`` and ``^name`` are of ``name``."""
    return tensor.lstrip("^").partition(":")[0]


def _reach(nodes: dict[str, Any], roots: Iterable[str]) -> set[str]:
    """Return all nodes that the roots need, themselves included."""
    found: set[str] = set()
    waiting = [root for root in roots if root in nodes]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_op(tensor) for tensor in nodes[name].input)
    return found


def _touches(nodes: dict[str, Any], initializer: str, needed: set[str]) -> bool:
    return initializer in nodes and any(_op(tensor) in needed for tensor in nodes[initializer].input)


def _refuse_unknown_variables(nodes: dict[str, Any], needed: set[str], variables: dict[str, Any]) -> None:
    for name in sorted(needed):
        if nodes[name].op in _VARIABLE_OPS and name not in variables:
            raise UsageError(
                f"the graph needs the variable {name!r}, whose value cannot be read",
                hint="freeze the graph, or export the session or checkpoint that holds it",
            )


def _add_variable(meta_graph: Any, node: Any, definition: Any, collection: str) -> None:
    """Add a variable to the collection, with an initializer that takes the value it is fed."""
    name = node.name
    dtype = node.attr["dtype"].type
    value = meta_graph.graph_def.node.add(name=f"{name}/initial_value_fed", op="Placeholder")
    value.attr["dtype"].type = dtype
    value.attr["shape"].shape.CopyFrom(node.attr["shape"].shape)
    assign = meta_graph.graph_def.node.add(name=f"{name}/assign_fed", input=[name, value.name])
    if node.op == "VarHandleOp":
        assign.op = "AssignVariableOp"
        assign.attr["dtype"].type = dtype
    else:
        assign.op = "Assign"
        assign.attr["T"].type = dtype
    definition.initializer_name = assign.name
    definition.initial_value_name = f"{value.name}:0"
    meta_graph.collection_def[collection].bytes_list.value.append(definition.SerializeToString())
