"""How far two answers to the same request are apart, output by output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: relative difference up to which two numbers count as the same answer
_SAME: Final = 0.01
#: values of an output that are looked at to find broken ones
_LOOKED_AT: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Difference:
    """One output of two answers.

    ``distance``: mean absolute difference in units of the expected values' mean magnitude, 0.0 for equal values; for
    text and whole numbers the share that differs. ``agreement``: share of rows, 0.0 to 1.0, with the same answer: the
    same largest entry of a vector of floats, a float within 1 %, anything else equal. ``broken``: values that are NaN
    or infinite where the expected ones are not.
    """

    distance: float
    agreement: float
    broken: int = 0


def has_broken(outputs: Mapping[str, NDArray[Any]]) -> bool:
    """Whether any of the first values of the outputs, some ten thousand of each, are NaN or infinite."""
    for array in outputs.values():
        if array.dtype.kind == "f":
            some = array.reshape(-1)[:_LOOKED_AT]
            # a sum is the quickest look; one that is not finite may have overflowed
            with np.errstate(all="ignore"):
                total = some.sum()
            if not math.isfinite(total) and not np.isfinite(some).all():
                return True
    return False


def differences(expected: Mapping[str, NDArray[Any]], actual: Mapping[str, NDArray[Any]]) -> dict[str, Difference]:
    """Compare all outputs of ``expected``; one that is missing, or of another shape, does not agree at all."""
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
    same = np.isclose(first, second, rtol=_SAME, atol=1e-9, equal_nan=True)
    return float(_rows(same).all(axis=1).mean())


def _rows(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as one line a row; a scalar is one row."""
    return array.reshape(array.shape[0] if array.ndim else 1, -1)
