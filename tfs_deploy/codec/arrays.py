# SPDX-License-Identifier: Apache-2.0
"""Values that a caller passes as tensors, as C-contiguous arrays in this machine's byte order."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfs_deploy.errors import RequestError

_PYTHON_VALUES = (list, tuple, int, float, complex, str, bytes)


def as_array(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Make an array of arrays, numpy scalars, Python numbers, text, bytes and nested lists of these.

    Arrays and objects with ``__array__`` keep their dtype. Python numbers and lists follow ``tf.make_tensor_proto``:
    float64 becomes float32, int64 becomes int32 where every value fits. Text becomes ``object``.

    Raises:
        RequestError: nested lists of unequal lengths.
    """
    array = wide_array(value)
    return _narrow(array) if is_python_value(value) else array


def is_python_value(value: Any) -> bool:
    """Tell whether a value has no dtype yet: Python numbers, text, bytes, and lists."""
    # np.float64 is a float too, and np.str_ a str
    return isinstance(value, _PYTHON_VALUES) and not isinstance(value, np.generic)


def wide_array(value: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Make an array as ``as_array`` does, with Python numbers in the widest dtypes (float64, int64).

    Raises:
        RequestError: nested lists of unequal lengths.
    """
    if isinstance(value, (str, bytes)):
        scalar = np.empty((), object)
        scalar[()] = value
        return scalar
    if not is_python_value(value):
        return np.asarray(value)
    try:
        array = np.asarray(value)
    except UnicodeError:
        # text beside bytes that are not ASCII
        return np.array(value, object)
    except ValueError as error:
        raise RequestError(
            "a nested list has rows of unequal lengths", hint="pad the rows to one length, or send them one by one"
        ) from error
    except OverflowError as error:
        raise RequestError(
            "an integer is too large for any dtype", hint="integers reach from -2**63 to 2**64 - 1"
        ) from error
    # numpy's own text arrays drop trailing NUL bytes: keep the objects
    return np.array(value, object) if array.dtype.kind in "SU" else array


def integer_array(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    """Make an array of an integer dtype out of Python numbers; ``OverflowError`` where one does not fit.

    NumPy before 2.0 would let it wrap round.
    """
    # of a dtype that is given: NumPy would make each element as wide as the longest text among them
    signed = dtype != np.uint64
    wide = np.array(value, np.int64 if signed else np.uint64)
    bounds = np.iinfo(dtype)
    lowest = wide.min(initial=0) if signed else np.array(value, np.float64).min(initial=0)
    highest = wide.max(initial=0)
    if lowest < bounds.min or highest > bounds.max:
        raise OverflowError(f"{int(lowest if lowest < bounds.min else highest)} does not fit {dtype}")
    return wide.astype(dtype)


def _narrow(array: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    if array.dtype == np.float64:
        with np.errstate(over="ignore"):
            return array.astype(np.float32)
    if array.dtype == np.int64:
        small = array.astype(np.int32)
        return small if np.array_equal(small, array) else array
    return array


def wire_order(array: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """Return the array C-contiguous and little-endian, itself if it is already."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    # not ascontiguousarray: that makes scalars one-dimensional
    return array if array.flags.c_contiguous else array.copy(order="C")
