# SPDX-License-Identifier: Apache-2.0
"""Tensor specs in the forms that callers have, converted to the one that the toolkit uses."""

from __future__ import annotations

import re
from typing import Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.protos.signatures import DTYPE_NUMBERS, TensorSpec

_FORMS = "a (dtype, shape) tuple such as ('float32', (None, 8, 8)), a tf.TensorSpec or a keras.InputSpec"
_TEXT: Final = frozenset({"str", "bytes", "object", "string_"})
_UNSAVED: Final = frozenset({"resource", "variant"})


def dtype_name_of(dtype: Any) -> str:
    """Return the name of a dtype given as text, numpy dtype, Python type or ``tf.DType``; ``UsageError`` if unknown."""
    if dtype in (str, bytes):
        return "string"
    name = dtype if isinstance(dtype, str) else getattr(dtype, "name", None)
    if name is None and isinstance(dtype, type):
        name = dtype.__name__
    if not isinstance(name, str):
        raise UsageError(f"{dtype!r} is not a valid dtype", hint="write it as text, such as 'float32'")
    name = name.removesuffix("_ref")
    if name in _TEXT or re.fullmatch(r"(str|bytes)\d+", name):
        return "string"
    if name not in DTYPE_NUMBERS or name in _UNSAVED:
        raise UsageError(f"{name!r} is not a valid dtype", hint=did_you_mean(name, set(DTYPE_NUMBERS) - _UNSAVED))
    return name


def shape_of(shape: Any) -> tuple[int | None, ...] | None:
    """Return a shape (tuple, list, ``tf.TensorShape``, ``None`` = any rank) as a tuple; -1 and ``None`` are free."""
    if shape is None or getattr(shape, "rank", 0) is None:
        return None
    if isinstance(shape, int):
        raise UsageError(f"{shape} is not a valid shape", hint=f"write ({shape},) for one dimension")
    sizes: list[int | None] = []
    for size in shape:
        if size is None or (isinstance(size, int) and size == -1):
            sizes.append(None)
        elif hasattr(size, "__index__") and not isinstance(size, bool) and size.__index__() >= 0:
            sizes.append(size.__index__())
        else:
            raise UsageError(
                f"{size!r} is not a valid size of a dimension", hint="use a number, or None for a free one"
            )
    return tuple(sizes)


def as_spec(name: str, value: Any) -> TensorSpec:
    """Return one input spec as a ``TensorSpec`` called ``name``.

    Takes a ``(dtype, shape)`` tuple in either order, ``tf.TensorSpec``, ``keras.InputSpec``, a Keras tensor, or
    ``protos.signatures.TensorSpec``. Raises ``UsageError`` for anything else, ragged and sparse specs included.
    """
    if isinstance(value, TensorSpec):
        return TensorSpec(name, dtype_name_of(value.dtype), shape_of(value.shape))
    kind = type(value).__name__
    if getattr(value, "sparse", False) or getattr(value, "ragged", False):
        kind = "sparse or ragged tensor"
    if kind.startswith(("Ragged", "Sparse", "sparse")):
        raise UsageError(
            f"Input {name!r} is a {kind}, which a signature cannot carry",
            hint="take its parts (values and row lengths, or a dense tensor) as inputs and build it in the function",
        )
    if isinstance(value, (tuple, list)) and len(value) == 2:
        first, second = value
        swapped = first is None or (isinstance(first, (tuple, list)) or hasattr(first, "rank"))
        dtype, shape = (second, first) if swapped else (first, second)
        return TensorSpec(name, dtype_name_of(dtype), shape_of(shape))
    if hasattr(value, "dtype") and hasattr(value, "shape") and "array" not in kind.lower():
        return TensorSpec(name, _given_dtype(name, value.dtype), _shape_with_rank(value))
    raise UsageError(f"Input {name!r} has a spec that is not valid: {value!r}", hint=f"write {_FORMS}")


def _given_dtype(name: str, dtype: Any) -> str:
    if dtype is None:
        raise UsageError(f"The spec of input {name!r} has no dtype", hint=f"write {_FORMS}")
    return dtype_name_of(dtype)


def _shape_with_rank(value: Any) -> tuple[int | None, ...] | None:
    """Return the shape of a spec object; ``keras.InputSpec(ndim=3)`` has a rank and no sizes."""
    ndim = getattr(value, "ndim", None)
    if value.shape is None and isinstance(ndim, int):
        return (None,) * ndim
    return shape_of(value.shape)


def free_batch(spec: TensorSpec) -> TensorSpec:
    """Return the spec with its first dimension free."""
    if not spec.shape:
        return spec
    return TensorSpec(spec.name, spec.dtype, (None, *spec.shape[1:]))


def tf_spec(spec: TensorSpec) -> Any:
    """Return the ``tf.TensorSpec`` of a spec."""
    import tensorflow as tf

    return tf.TensorSpec(spec.shape, tf.dtypes.as_dtype(spec.dtype), name=spec.name)
