# SPDX-License-Identifier: Apache-2.0
"""What a subclassed Keras model recorded of its inputs when it was first called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfs_deploy.export.signatures.nest import fill, leaves
from tfs_deploy.export.signatures.specs import as_spec


@dataclass(frozen=True)
class Recorded:
    """A tensor of the first call: its shape, and its dtype, which only tf_keras records (``None``: unknown)."""

    shape: tuple[int | None, ...] | None
    dtype: str | None = None


def recorded_arguments(model: Any, parameters: Sequence[str]) -> dict[str, Any] | None:
    """Return the arguments of the first call by parameter, as nests of ``Recorded`` and Python values.

    Keras 3 records shapes for ``build``: those of the first argument alone, or of the arguments that ``build`` names
    (layer.py, update_shapes_dict_for_target_fn). tf_keras records a ``tf.TypeSpec`` for each tensor (``save_spec``).

    Args:
        model: the model.
        parameters: the names of the parameters of its ``call``.
    """
    if not parameters:
        return None
    save_spec = getattr(model, "save_spec", None)
    if save_spec is not None:
        return _of_save_spec(save_spec(), parameters)
    shapes = dict(getattr(model, "_build_shapes_dict", None) or {})
    if len(shapes) == 1:
        shapes = {parameters[0]: next(iter(shapes.values()))}
    arguments = {key.removesuffix("_shape"): _of_shapes(nest) for key, nest in shapes.items()}
    known = [name for name in parameters if name in arguments]
    return {name: arguments[name] for name in known} if known and len(known) == len(arguments) else None


def first_shape(model: Any) -> tuple[int | None, ...] | None:
    """Return the shape that Keras 3 recorded of the first argument; ``None`` if it recorded none, or a nest of them."""
    known = _of_shapes(next(iter((getattr(model, "_build_shapes_dict", None) or {}).values()), None))
    return known.shape if isinstance(known, Recorded) else None


def _of_save_spec(saved: Any, parameters: Sequence[str]) -> dict[str, Any] | None:
    import tensorflow as tf

    if saved is None:
        return None
    arguments, keywords = saved
    found = {**dict(zip(parameters, arguments, strict=False)), **keywords}

    def recorded(leaf: Any) -> Any:
        if not isinstance(leaf, tf.TypeSpec):
            return leaf
        spec = as_spec(getattr(leaf, "name", None) or "", leaf)
        return Recorded(spec.shape, spec.dtype)

    return {
        name: fill(nest, iter([recorded(leaf) for _, leaf in leaves(nest)]))
        for name, nest in found.items()
        if name in parameters
    }


def _of_shapes(nest: Any) -> Any:
    """Return a nest of shapes as one of ``Recorded``; a shape is itself a tuple."""
    if isinstance(nest, (tuple, list)) and all(size is None or isinstance(size, int) for size in nest):
        return Recorded(tuple(nest))
    if isinstance(nest, Mapping):
        return {key: _of_shapes(value) for key, value in nest.items()}
    if isinstance(nest, (tuple, list)):
        return [_of_shapes(value) for value in nest]
    return nest
