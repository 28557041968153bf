"""Which features a graph takes out of serialized tf.Examples, read from its ParseExample ops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.protos.signatures import dtype_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STRING: Final = 7
#: string constants up to this many bytes can be names of features; longer ones are vocabularies
_SHORT: Final = 4096


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a tf.Example; ``shape`` is that of a dense feature without the batch, else ``None``."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


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

    def features(self, texts: Mapping[str, Sequence[bytes]]) -> list[Feature]:
        """Return the features by name, given the string constants of the graph; empty if their names are not there."""
        keys = [texts.get(name.partition(":")[0], ()) for name in self.inputs[2:]]
        if self.op == "ParseExample":  # one input for each key
            count = len(self.sparse) + len(self.dense)
            sparse = [key for names in keys[: len(self.sparse)] for key in names]
            dense = [key for names in keys[len(self.sparse) : count] for key in names]
            ragged: Sequence[bytes] = ()
        else:  # one input for each kind
            sparse, dense, ragged = ([*keys, (), (), ()])[:3]  # type: ignore[assignment]
        found = [_feature(name, dtype, None) for name, dtype in zip(sparse, self.sparse, strict=False)]
        found += [
            _feature(name, dtype, shape) for name, dtype, shape in zip(dense, self.dense, self.shapes, strict=False)
        ]
        found += [_feature(name, dtype, None) for name, dtype in zip(ragged, self.ragged, strict=False)]
        return sorted(found, key=lambda feature: feature.name)


def short_text(node: Any) -> list[bytes]:
    """Return the elements of a short string constant (a NodeDef of op Const), nothing of any other."""
    if node.attr["dtype"].type != _STRING:
        return []
    values = node.attr["value"].tensor.string_val
    return list(values) if sum(map(len, values)) <= _SHORT else []


def _feature(name: bytes, dtype: str, shape: tuple[int | None, ...] | None) -> Feature:
    return Feature(name.decode(errors="replace"), dtype, shape)


def _types(attributes: Any, name: str) -> tuple[str, ...]:
    return tuple(map(dtype_name, attributes[name].list.type)) if name in attributes else ()


def _shapes(attributes: Any) -> Any:
    return attributes["dense_shapes"].list.shape if "dense_shapes" in attributes else ()
