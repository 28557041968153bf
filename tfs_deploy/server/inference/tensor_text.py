# SPDX-License-Identifier: Apache-2.0
"""Dtypes and shapes as TensorFlow Serving's messages write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.codec.dtypes import dtype_number
from tfs_deploy.protos.signatures import dtype_name

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DT: Final = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "HALF"}


def data_type(number: int) -> str:
    """Return the name of a DataType as the enum has it (``DT_FLOAT``)."""
    if number == 0:
        return "DT_INVALID"
    name = dtype_name(number)
    return f"DT_{_DT.get(name, name.upper())}" + ("_REF" if number > 100 else "")


def array_type(array: Array) -> str:
    """Return the DataType of an array (``DT_FLOAT``)."""
    return data_type(dtype_number(array.dtype))


def array_shape(array: Array) -> str:
    """Return the shape of an array (``[2,3]``)."""
    return f"[{','.join(map(str, array.shape))}]"
