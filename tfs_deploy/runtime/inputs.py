# SPDX-License-Identifier: Apache-2.0
"""What a caller passes to a local model, as the arrays that a signature takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfs_deploy.codec.arrays import as_array, integer_array
from tfs_deploy.codec.dtypes import dtype_number, numpy_dtype
from tfs_deploy.codec.quantized import quantized
from tfs_deploy.errors import RequestError
from tfs_deploy.protos.signatures import QUANTIZED_DTYPES, SignatureInfo, TensorSpec, dtype_name

Array = np.ndarray[Any, Any]


def named_arrays(inputs: Any, info: SignatureInfo) -> dict[str, Array]:
    """Make the arrays of a call, by input name.

    Args:
        inputs: arrays, lists, pandas Series by name; a pandas DataFrame; the value alone if there is one input.
        info: the signature.

    Raises:
        RequestError: the values do not fit the signature; the message names the input.
    """
    if is_frame(inputs):
        inputs = _columns(inputs, info)
    elif not isinstance(inputs, Mapping):
        inputs = {_only_input(info): inputs}
    arrays = {}
    for name, value in inputs.items():
        spec = info.inputs.get(name)
        # the engine refuses an unknown name, with a hint at the closest one
        arrays[name] = as_array(value) if spec is None else _as_input(name, value, spec)
    return arrays


def is_frame(value: Any) -> bool:
    """Tell whether a value is a pandas DataFrame, without importing pandas."""
    return hasattr(value, "columns") and hasattr(value, "to_numpy")


def _columns(frame: Any, info: SignatureInfo) -> dict[str, Any]:
    if set(info.inputs) <= set(frame.columns):
        return {name: frame[name] for name in info.inputs}
    if len(info.inputs) == 1:
        return {next(iter(info.inputs)): frame}
    missing = sorted(set(info.inputs) - set(frame.columns))
    raise RequestError(
        f"the table has no column for input {', '.join(missing)}",
        hint=f"its columns are {', '.join(map(str, frame.columns))}",
    )


def _only_input(info: SignatureInfo) -> str:
    if len(info.inputs) != 1:
        raise RequestError(
            f"signature {info.name!r} has {len(info.inputs)} inputs, which must be given by name",
            hint=f"its inputs are {', '.join(info.inputs)}",
        )
    return next(iter(info.inputs))


def _as_input(name: str, value: Any, spec: TensorSpec) -> Array:
    array = quantized(_convert(name, value, spec), spec.dtype)
    if hasattr(value, "to_numpy") and array.ndim == 1 and spec.shape is not None and spec.shape[1:] == (1,):
        array = array[:, None]  # a column of a table
    if dtype_name(dtype_number(array.dtype)) != spec.dtype:
        raise RequestError(
            f"input {name} is {_shown(array)}, but the model expects {spec}",
            hint=f"convert it with .astype({QUANTIZED_DTYPES.get(spec.dtype, spec.dtype)!r})",
        )
    if spec.shape is not None and not _fits(array.shape, spec.shape):
        raise RequestError(
            f"input {name} is {_shown(array)}, but the model expects {spec}",
            hint="? stands for a dimension of any size",
        )
    return array


def _convert(name: str, value: Any, spec: TensorSpec) -> Array:
    """Follow the signature's dtype where the caller has not chosen one: Python numbers, and pandas' defaults."""
    array = _plain(value)
    if type(value) is np.ndarray or isinstance(value, np.generic) or array.dtype.kind not in "iuf":
        return array
    wanted = numpy_dtype(spec.dtype)
    if wanted.kind not in "iu" or array.dtype.kind not in "iu":
        fits = wanted.kind in "fc" and np.can_cast(array.dtype, wanted, "same_kind")
        return array.astype(wanted) if fits else array
    try:
        return integer_array(array, wanted)
    except OverflowError as error:
        raise RequestError(f"input {name}: {error}", hint=f"{name} expects {spec}") from error


def _plain(value: Any) -> Array:
    if hasattr(value, "to_numpy"):
        array: Array = value.to_numpy()
        return array
    if isinstance(value, (list, tuple, int, float)) and not isinstance(value, bool):
        try:
            wide = np.asarray(value)
        except (ValueError, OverflowError):
            return as_array(value)
        if wide.dtype.kind in "iuf":
            return wide
    return as_array(value)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(size in (None, length) for length, size in zip(shape, wanted, strict=True))


def _shown(array: Array) -> str:
    return f"{dtype_name(dtype_number(array.dtype))} {list(array.shape)}"
