# SPDX-License-Identifier: Apache-2.0
"""Find graphs that TensorFlow never writes, and on which its loader ends the process instead of failing.

A bit that flips in ``saved_model.pb`` mostly makes it unreadable, which the loader says. Some flips leave a graph that
parses and is nonsense; TensorFlow trusts it (graph_constructor.cc checks the main graph, not the functions).
"""

from __future__ import annotations

from typing import Any, Final

from tfs_deploy.savedmodel.formats.wire import WireError

#: DataType numbers end far below this; a reference to a type is its number and 100 (types.proto)
_TYPES: Final = 64
_REFERENCE: Final = 100
#: attributes that say how many inputs or outputs an op has; TensorFlow makes room for them before it counts
_COUNTS: Final = {
    **dict.fromkeys(("AddN", "Concat", "ConcatV2", "DynamicStitch", "Pack", "ParallelDynamicStitch", "Merge"), ("N",)),
    **dict.fromkeys(("Split", "SplitV"), ("num_split",)),
    "Unpack": ("num",),
    "DynamicPartition": ("num_partitions",),
    "ParseExample": ("Nsparse", "Ndense"),
    "ParseExampleV2": ("num_sparse",),
    "ParseSingleExample": ("num_sparse",),
    "ParseSequenceExample": ("Ncontext_sparse", "Ncontext_dense", "Nfeature_list_sparse", "Nfeature_list_dense"),
}
_MOST: Final = 1 << 20


class UnsoundError(WireError):
    """The graph can be parsed, but is nonsense."""


def check_node(node: Any) -> None:
    """Raise ``UnsoundError`` for a NodeDef without a name or input, or a constant of contradicting types."""
    if not node.name:
        raise UnsoundError(f"a node of op '{node.op}' has no name")
    for key in _COUNTS.get(node.op, ()):
        if key in node.attr and not 0 <= node.attr[key].i <= _MOST:
            raise UnsoundError(f"node '{node.name}' has {node.attr[key].i} inputs or outputs ({key})")
    if node.op == "Identity" and (not node.input or node.input[0].startswith("^")):
        raise UnsoundError(f"node '{node.name}' passes on a value that it does not get")
    if node.op != "Const":
        return
    attributes = node.attr
    if "dtype" not in attributes:
        return  # which the loader notices
    dtype = attributes["dtype"].type
    if not 0 < dtype % _REFERENCE < _TYPES:
        raise UnsoundError(f"constant '{node.name}' is of type {dtype}, which does not exist")
    if "value" in attributes and attributes["value"].tensor.dtype != dtype:
        of = attributes["value"].tensor.dtype
        raise UnsoundError(f"constant '{node.name}' is of type {dtype}, its value of type {of}")
