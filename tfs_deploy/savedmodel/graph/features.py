# SPDX-License-Identifier: Apache-2.0
"""The features that a graph parses from serialized tf.Examples, read from its ParseExample ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.protos.signatures import dtype_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_STRING: Final = 7
#: string constants up to this many bytes can be names of features; longer ones are vocabularies
_SHORT: Final = 4096


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a tf.Example.

    ``shape`` is that of a dense feature without the batch, ``None`` for one of any length; ``required`` if an example
    without it is refused.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Parser:
    """A ParseExample node: its inputs, and the dtypes and shapes of the features in the order of their keys."""

    node: str
    op: str
    inputs: tuple[str, ...]
    sparse: tuple[str, ...]
    dense: tuple[str, ...]
    shapes: tuple[tuple[int | None, ...], ...]
    ragged: tuple[str, ...]

    @classmethod
    def of(cls, node: Any) -> Parser:
        """Read a NodeDef."""
        attributes = node.attr
        return cls(
            node=node.name,
            op=node.op,
            inputs=tuple(node.input),
            sparse=_types(attributes, "sparse_types"),
            dense=_types(attributes, "Tdense"),
            shapes=tuple(tuple(d.size if d.size >= 0 else None for d in shape.dim) for shape in _shapes(attributes)),
            ragged=_types(attributes, "ragged_value_types"),
        )

    def features(self, texts: Mapping[str, Sequence[bytes]], empty: Collection[str]) -> list[Feature]:
        """Return the features by name, given the graph's string constants and the names of its empty constants."""
        keys = [texts.get(_node(name), ()) for name in self.inputs[2:]]
        if self.op == "ParseExample":  # one input for each key
            count = len(self.sparse) + len(self.dense)
            sparse = [key for names in keys[: len(self.sparse)] for key in names]
            dense = [key for names in keys[len(self.sparse) : count] for key in names]
            ragged: Sequence[bytes] = ()
        else:  # one input for each kind
            sparse, dense, ragged = ([*keys, (), (), ()])[:3]  # type: ignore[assignment]
        defaults = self.inputs[len(self.inputs) - len(self.dense) :]
        found = [
            Feature(_text(name), dtype, shape, required=_node(default) in empty)
            for name, dtype, shape, default in zip(dense, self.dense, self.shapes, defaults, strict=False)
        ]
        for names, dtypes in ((sparse, self.sparse), (ragged, self.ragged)):
            found += [Feature(_text(name), dtype, None) for name, dtype in zip(names, dtypes, strict=False)]
        return sorted(found, key=lambda feature: feature.name)


def short_text(tensor: Any) -> list[bytes]:
    """Return the elements of a short string TensorProto, nothing of any other."""
    if tensor.dtype != _STRING or sum(map(len, tensor.string_val)) > _SHORT:
        return []
    return list(tensor.string_val)


def is_empty(tensor: Any) -> bool:
    """Tell whether a TensorProto is empty, which as the default of a feature means that it has no default."""
    return any(dimension.size == 0 for dimension in tensor.tensor_shape.dim)


def _text(name: bytes) -> str:
    return name.decode(errors="replace")


def _node(tensor: str) -> str:
    return tensor.partition(":")[0]


def _types(attributes: Any, name: str) -> tuple[str, ...]:
    return tuple(map(dtype_name, attributes[name].list.type)) if name in attributes else ()


def _shapes(attributes: Any) -> Any:
    return attributes["dense_shapes"].list.shape if "dense_shapes" in attributes else ()
