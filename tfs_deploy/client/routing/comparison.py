# SPDX-License-Identifier: Apache-2.0
"""The differences between two replies to the same request, output by output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: relative difference up to which two numbers agree
_TOLERANCE: Final = 0.01
#: values of an output that are checked for NaN and infinity
_CHECKED: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference between two replies in one output.

    Attributes:
        distance: mean absolute difference relative to the mean magnitude of the expected values, 0.0 for equal values;
            for text and whole numbers, the share that differs.
        agreement: share of the rows, 0.0 to 1.0, that agree: the largest entry of a vector of floats is the same, a
            float is within 1 %, anything else is equal.
        broken: values that are NaN or infinite where the expected ones are not.
    """

    distance: float
    agreement: float
    broken: int = 0


def has_broken(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Return whether any of the first 16,384 values of an output is NaN or infinite."""
    for array in outputs.values():
        if array.dtype.kind == "f":
            some = array.reshape(-1)[:_CHECKED]
            # a sum is the fastest check; one that is not finite may just have overflowed
            with np.errstate(all="ignore"):
                total = some.sum()
            if not math.isfinite(total) and not np.isfinite(some).all():
                return True
    return False


def differences(expected: Mapping[str, NDArray[Any]], actual: Mapping[str, NDArray[Any]]) -> dict[str, Difference]:
    """Return the difference in each output of ``expected``; a missing output, or one of another shape, never agrees."""
    return {name: _compare(array, actual.get(name)) for name, array in expected.items()}


def _compare(expected: NDArray[Any], actual: NDArray[Any] | None) -> Difference:
    if actual is None or actual.shape != expected.shape:
        return Difference(1.0, 0.0)
    if expected.size == 0:
        return Difference(0.0, 1.0)
    if expected.dtype.kind not in "fc" or actual.dtype.kind not in "fc":
        same = np.asarray(expected == actual, dtype=bool)
        return Difference(1.0 - float(same.mean()), float(_rows(same).all(axis=1).mean()))
    return _compare_floats(expected, actual)


def _compare_floats(expected: NDArray[Any], actual: NDArray[Any]) -> Difference:
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    first, second = expected.astype(wide), actual.astype(wide)
    sound = np.isfinite(first)
    broken = int(np.count_nonzero(sound & ~np.isfinite(second)))
    both = sound & np.isfinite(second)
    gap = np.abs(np.where(both, second - np.where(both, first, 0), 0))
    scale = float(np.abs(first[both]).mean()) if both.any() else 0.0
    mean = float(gap[both].mean()) if both.any() else 0.0
    distance = mean / scale if scale > 0 else float(mean > 0)
    return Difference(distance, _float_agreement(first, second), broken)


def _float_agreement(first: NDArray[Any], second: NDArray[Any]) -> float:
    if first.ndim >= 2 and first.shape[-1] > 1 and first.dtype.kind == "f":
        sound = np.isfinite(first).all(axis=-1) == np.isfinite(second).all(axis=-1)
        return float(((np.argmax(first, axis=-1) == np.argmax(second, axis=-1)) & sound).mean())
    same = np.isclose(first, second, rtol=_TOLERANCE, atol=1e-9, equal_nan=True)
    return float(_rows(same).all(axis=1).mean())


def _rows(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array with one dimension per row; a scalar is one row."""
    return array.reshape(array.shape[0] if array.ndim else 1, -1)
