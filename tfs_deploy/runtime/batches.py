# SPDX-License-Identifier: Apache-2.0
"""Cut a call into batches, and join their results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.errors import RequestError

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec

Array = np.ndarray[Any, Any]
Run = Callable[[dict[str, Array]], dict[str, Array]]


def run_in_batches(run: Run, inputs: Mapping[str, Array], info: SignatureInfo, max_batch: int) -> dict[str, Array]:
    """Run a signature on at most ``max_batch`` rows at a time.

    Inputs whose first dimension is free are cut, the others go into every part; so outputs must have a free first
    dimension to be joined.

    Raises:
        RequestError: inputs have different numbers of rows, or an output cannot be joined.
    """
    rows = {name: array.shape[0] for name, array in inputs.items() if _has_rows(info.inputs[name], array)}
    if not rows or max(rows.values()) <= max_batch:
        return run(dict(inputs))
    if len(set(rows.values())) > 1:
        raise RequestError(
            "inputs have different numbers of rows: " + ", ".join(f"{name} {count}" for name, count in rows.items()),
            hint="a call can be cut into batches if all its inputs have the same number of rows",
        )
    size = next(iter(rows.values()))
    parts = [
        run({name: array[start : start + max_batch] if name in rows else array for name, array in inputs.items()})
        for start in range(0, size, max_batch)
    ]
    for name, spec in info.outputs.items():
        if name in parts[0] and (spec.shape == () or parts[0][name].ndim == 0):
            raise RequestError(
                f"output {name} is one value for all rows and cannot be joined from batches",
                hint=f"call with at most {max_batch} rows, or load the model without max_batch",
            )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _has_rows(spec: TensorSpec, array: Array) -> bool:
    return array.ndim > 0 and (spec.shape is None or (len(spec.shape) > 0 and spec.shape[0] is None))
