# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's DataType numbers and names as numpy dtypes, and the other way round."""

from __future__ import annotations

import functools
from typing import Any, Final

import numpy as np

from tfs_deploy.errors import EnvironmentFault, RequestError
from tfs_deploy.protos.signatures import DTYPE_NAMES, DTYPE_NUMBERS, ML_DTYPES, QUANTIZED_DTYPES

DT_HALF: Final = 19
DT_BFLOAT16: Final = 14
DT_STRING: Final = 7
DT_BOOL: Final = 10

_BUILTIN: Final = {
    np.dtype(name): DTYPE_NUMBERS[name]
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
#: quantized types on the wire: numpy's dtypes for them in TensorFlow (python/framework/dtypes.py)
_QUANTIZED: Final = {name: np.dtype([(name, plain)]) for name, plain in QUANTIZED_DTYPES.items()}
_NUMBERS: Final = {**_BUILTIN, **{dtype: DTYPE_NUMBERS[name] for name, dtype in _QUANTIZED.items()}}


def _ml_dtype(name: str) -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ModuleNotFoundError as error:
        raise EnvironmentFault(f"{name} needs the package ml_dtypes", hint="pip install ml_dtypes") from error
    if not hasattr(ml_dtypes, name):
        raise EnvironmentFault(f"{name} needs a newer ml_dtypes", hint="pip install --upgrade ml_dtypes")
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


@functools.cache
def numpy_dtype(name_or_number: str | int) -> np.dtype[Any]:
    """Return the numpy dtype of a DataType, given as name (``float32``) or number (``1``).

    Strings become ``object`` (elements are ``bytes``), quantized types the integers of their width; those of
    ``ML_DTYPES`` come from that package.

    Raises:
        RequestError: numpy has no such type (resource, variant) or TensorFlow has none.
        EnvironmentFault: the type needs ``ml_dtypes``, which is not installed.
    """
    name = DTYPE_NAMES.get(name_or_number, "") if isinstance(name_or_number, int) else name_or_number
    name = QUANTIZED_DTYPES.get(name, name)
    if name in ML_DTYPES:
        return _ml_dtype(name)
    if name == "string":
        return np.dtype(object)
    if name not in DTYPE_NUMBERS or name in ("resource", "variant"):
        raise RequestError(
            f"dtype {name_or_number} has no numpy counterpart",
            hint="a signature can give and take numbers and strings only",
        )
    return np.dtype(name)


def wire_dtype(name_or_number: str | int) -> np.dtype[Any]:
    """Return ``numpy_dtype``, but for a quantized type the dtype of one field that tells it from plain integers."""
    name = DTYPE_NAMES.get(name_or_number, "") if isinstance(name_or_number, int) else name_or_number
    return _QUANTIZED[name] if name in _QUANTIZED else numpy_dtype(name_or_number)


@functools.lru_cache(maxsize=256)
def dtype_number(dtype: np.dtype[Any]) -> int:
    """Return the DataType number of a numpy dtype in any byte order; bytes, text and object dtypes are strings.

    Raises:
        RequestError: TensorFlow has no such type (dates, records, long double).
    """
    if dtype.kind in "SUOT":
        return DT_STRING
    # isbuiltin 2: a type that a package such as ml_dtypes registered
    number = _NUMBERS.get(dtype.newbyteorder("=")) if dtype.isbuiltin != 2 else DTYPE_NUMBERS.get(dtype.name)
    if number is None:
        raise RequestError(f"dtype {dtype} cannot be sent to TensorFlow Serving", hint="convert it with .astype(...)")
    return number
