# SPDX-License-Identifier: Apache-2.0
"""Inputs made up from a signature alone, and the check of outputs against a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec.dtypes import numpy_dtype

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec


def made_up_inputs(signature: SignatureInfo) -> dict[str, NDArray[Any]]:
    """Return one row of ones (or empty strings, which are valid tf.Examples too) for each input; free sizes are 1."""
    return {name: _ones(spec) for name, spec in signature.inputs.items()}


def output_mismatch(signature: SignatureInfo, outputs: Mapping[str, NDArray[Any]]) -> str | None:
    """Return which output is missing or has another dtype or shape than in the signature; ``None`` if none."""
    for name, spec in signature.outputs.items():
        if name not in outputs:
            return f"output '{name}' is missing; the reply has {sorted(outputs)}"
        array = outputs[name]
        if array.dtype != numpy_dtype(spec.dtype):
            return f"output '{name}' is {array.dtype.name} instead of {spec.dtype}"
        if not _fits(array.shape, spec.shape):
            return f"output '{name}' has shape {list(array.shape)}, which does not fit {spec}"
    return None


def _ones(spec: TensorSpec) -> NDArray[Any]:
    shape = (1,) if spec.shape is None else tuple(1 if size is None else size for size in spec.shape)
    if spec.dtype == "string":
        return np.full(shape, b"", object)
    return np.ones(shape, numpy_dtype(spec.dtype))


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...] | None) -> bool:
    if expected is None:
        return True
    return len(shape) == len(expected) and all(
        want is None or have == want for have, want in zip(shape, expected, strict=True)
    )
