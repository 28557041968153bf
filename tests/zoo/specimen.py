# SPDX-License-Identifier: Apache-2.0
"""What the zoo knows about a model and about a library."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

#: For float32: TensorFlow optimises the written graph (oneDNN, constant folding), so sums come in another order.
RTOL, ATOL = 1e-4, 1e-5


@dataclass(frozen=True)
class Specimen:
    """A model to export, a request, and the answer that the original gave when it was called by the library's own road.

    Attributes:
        source: what ``export_model`` takes.
        inputs: the request, by the signature's input names.
        outputs: the answer, by the signature's output names; all of them.
        signatures: as of ``export_model``.
        signature: the one that the request is for.
        rtol, atol: tolerance of floating-point outputs.
        flags: what a server needs for this model.
        op_libraries: shared libraries with its custom ops.
    """

    source: Any
    inputs: Mapping[str, np.ndarray]
    outputs: Mapping[str, np.ndarray]
    signatures: Mapping[str, Any] | None = None
    signature: str = "serving_default"
    rtol: float = RTOL
    atol: float = ATOL
    flags: Mapping[str, Any] = field(default_factory=dict)
    op_libraries: Sequence[Path] = ()


@dataclass(frozen=True)
class Library:
    """A library of the zoo.

    Attributes:
        models: what builds a specimen, by the model's name. Builders import the library, this module does not.
        packages: names in ``requirements.txt`` that the development environment lacks; none = it has all.
        environment: variables of the process that builds.
        always: the models that also the short form tries.
        faults: model -> the fault of the product that it shows (a strict xfail).
    """

    models: Mapping[str, Callable[[], Specimen]]
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    always: tuple[str, ...] = ()
    faults: Mapping[str, str] = field(default_factory=dict)


#: for libraries that were written for Keras 2
KERAS_2 = {"TF_USE_LEGACY_KERAS": "1"}


def rows(*shape: int, seed: int = 0) -> np.ndarray:
    """Return float32 numbers between 0 and 1, the same each time."""
    return np.random.default_rng(seed).random(shape, np.float32)


def by_name(names: tuple[str, ...], values: Any) -> dict[str, np.ndarray]:
    """Return arrays by name, of a tensor or of several in order."""
    several = values if isinstance(values, (list, tuple)) else [values]
    return {name: np.asarray(value) for name, value in zip(names, several, strict=True)}


def spec_of(array: np.ndarray) -> tuple[str, tuple[int | None, ...]]:
    """Return dtype and shape of an input whose rows are free."""
    return ("string" if array.dtype == object else str(array.dtype), (None, *array.shape[1:]))
