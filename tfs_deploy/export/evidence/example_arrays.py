# SPDX-License-Identifier: Apache-2.0
"""The values of an example as the arrays that a signature takes, without losing any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec import as_array, numpy_dtype
from tfs_deploy.codec.arrays import is_python_value, wide_array
from tfs_deploy.codec.quantized import integers
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import TensorSpec

    Array = np.ndarray[Any, Any]


def example_array(signature: str, spec: TensorSpec, value: Any) -> Array:
    """Return a value with the dtype and shape of an input.

    Python numbers and tables follow the input's dtype; an array has one of its own, and must not lose by the cast.

    Raises:
        UsageError: the dtype does not fit, a value would change, or the shape does not fit.
    """
    given = integers(_plain(value))
    array = _strings(signature, spec, given) if spec.dtype == "string" else _cast(signature, spec, value, given)
    if hasattr(value, "to_numpy") and spec.shape is not None and array.ndim == 1 and spec.shape[1:] == (1,):
        array = array[:, None]  # a column of a table
    _check_shape(signature, spec, array)
    return array


def dtype_of(value: Any) -> str:
    """Return the dtype that a value has, or that TensorFlow gives Python values, by name."""
    given = _plain(value)
    array = as_array(value) if is_python_value(value) else given
    if array.dtype.names:
        return array.dtype.names[0]  # a quantized dtype, as TensorFlow has it in numpy
    return "string" if array.dtype.kind in "OSUT" else array.dtype.name


def _plain(value: Any) -> Array:
    return wide_array(value.numpy() if hasattr(value, "numpy") else value)


def _cast(signature: str, spec: TensorSpec, value: Any, given: Array) -> Array:
    dtype = numpy_dtype(spec.dtype)
    if given.dtype.kind in "OSUT" or not np.can_cast(given.dtype, dtype, casting="same_kind"):
        raise UsageError(
            f"examples of {signature!r}: input {spec.name!r} is {given.dtype.name}, "
            f"but the signature takes {spec.dtype}",
            hint=f"convert it with .astype({spec.dtype!r})",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        array = given.astype(dtype)
        back = array.astype(given.dtype)
    if given.dtype.kind == "f" and (is_python_value(value) or hasattr(value, "to_numpy")):
        changed = np.isinf(back) & ~np.isinf(given)  # rounding is what float32 means for a Python number
    else:
        changed = (back != given) & ~((back != back) & (given != given))
    if changed.any():
        raise UsageError(
            f"examples of {signature!r}: input {spec.name!r} holds {given[changed].reshape(-1)[0]} "
            f"({given.dtype.name}), which {spec.dtype} cannot hold",
            hint=f"convert it with .astype({spec.dtype!r}) if that is meant, or export the input as {given.dtype.name}",
        )
    return array


def _strings(signature: str, spec: TensorSpec, given: Array) -> Array:
    array = np.empty(given.size, object)
    for position, text in enumerate(given.reshape(-1).tolist()):
        if not isinstance(text, (str, bytes)):
            raise UsageError(
                f"examples of {signature!r}: input {spec.name!r} holds {text!r}, but the signature takes string",
                hint="give text or bytes",
            )
        array[position] = text.encode() if isinstance(text, str) else text
    return array.reshape(given.shape)


def _check_shape(signature: str, spec: TensorSpec, array: Array) -> None:
    wanted = spec.shape
    if wanted is None:
        return
    if array.ndim == len(wanted) and all(
        size in (None, given) for size, given in zip(wanted, array.shape, strict=True)
    ):
        return
    hint = "an example is a batch, even of a single row: array[None]"
    if array.ndim == len(wanted) and array.shape[1:] == wanted[1:]:
        hint = f"the model fixes its batch size: give a list of examples, each of {wanted[0]} row(s)"
    elif array.ndim == len(wanted):
        hint = "? stands for a dimension of any size"
    raise UsageError(
        f"examples of {signature!r}: input {spec.name!r} has shape {list(array.shape)}, but the signature takes {spec}",
        hint=hint,
    )
