# SPDX-License-Identifier: Apache-2.0
"""Quantized tensors: integers in memory, but of a DataType of their own on the wire.

The wire form of an array has TensorFlow's numpy dtype, of one field that is named like the type
(``tf.qint8.as_numpy_dtype``). A server takes a quantized input in no other form. Callers may give either form, and are
given integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec.dtypes import wire_dtype
from tfs_deploy.protos.signatures import QUANTIZED_DTYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.protos.signatures import TensorSpec

Array = np.ndarray[Any, Any]


def quantized(array: Array, dtype: str) -> Array:
    """Return integers in the wire form of ``dtype``, an array of any other dtype as it is.

    Args:
        array: of any dtype and shape.
        dtype: the name of the dtype that a signature declares; nothing changes unless it is a quantized one.
    """
    plain = QUANTIZED_DTYPES.get(dtype)
    if plain is None or array.dtype.newbyteorder("=") != plain:
        return array
    return array.astype(plain, copy=False).view(wire_dtype(dtype))


def integers(array: Array) -> Array:
    """Return a quantized array in wire form as integers, any other array as it is."""
    names = array.dtype.names
    if names is None or names[0] not in QUANTIZED_DTYPES:
        return array
    return array.view(array.dtype[0])


def quantized_inputs(specs: Mapping[str, TensorSpec], inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return arrays with those in wire form that their specs declare as quantized; names without a spec stay."""
    if not any(spec.dtype in QUANTIZED_DTYPES for spec in specs.values()):
        return inputs
    return {name: quantized(array, specs[name].dtype) if name in specs else array for name, array in inputs.items()}
