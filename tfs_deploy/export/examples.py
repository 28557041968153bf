"""Examples of requests: checked against the signatures, turned into arrays, recorded with the original's answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec import numpy_dtype
from tfs_deploy.errors import UsageError
from tfs_deploy.export.names import did_you_mean
from tfs_deploy.savedmodel.goldens import Golden

if TYPE_CHECKING:
    from tfs_deploy.export.source import Source
    from tfs_deploy.export.tolerance import Tolerance
    from tfs_deploy.protos.signatures import TensorSpec

    Array = np.ndarray[Any, Any]


def record(source: Source, examples: Any, tolerance: Tolerance) -> list[Golden]:
    """Run the original on every example and return inputs with outputs, in order."""
    goldens = []
    for signature, inputs in _arrays(source, examples):
        outputs = {name: _plain(array) for name, array in source.run(signature, inputs).items()}
        rtol, atol = tolerance.of(signature)
        goldens.append(Golden(signature, inputs, outputs, rtol, atol))
    return goldens


def _plain(array: Any) -> Array:
    """Return an array; the strings of TensorFlow are ``bytes`` in object arrays, also where there is just one."""
    result = np.asarray(array)
    return result.astype(object) if result.dtype.kind in "SU" else result


def _arrays(source: Source, examples: Any) -> list[tuple[str, dict[str, Array]]]:
    if examples is None:
        return []
    if not isinstance(examples, Mapping):
        raise UsageError(
            f"examples is a {type(examples).__name__}", hint="examples={'serving_default': {'image': rows}}"
        )
    found = []
    for signature, given in examples.items():
        specs = source.inputs(signature)
        if specs is None:
            raise UsageError(
                f"examples: there is no signature {signature!r}", hint=did_you_mean(signature, source.signature_names())
            )
        for one in given if isinstance(given, Sequence) and not isinstance(given, (str, bytes)) else [given]:
            found.append((signature, _one_example(signature, specs, one)))
    return found


def _one_example(signature: str, specs: dict[str, TensorSpec], example: Any) -> dict[str, Array]:
    if not isinstance(example, Mapping):
        raise UsageError(
            f"examples of {signature!r}: an example is a dict of inputs, not a {type(example).__name__}",
            hint=f"{{{', '.join(f'{name!r}: ...' for name in specs)}}}",
        )
    for name in example:
        if name not in specs:
            raise UsageError(f"examples of {signature!r}: there is no input {name!r}", hint=did_you_mean(name, specs))
    missing = [name for name in specs if name not in example]
    if missing:
        raise UsageError(f"examples of {signature!r}: input {missing[0]!r} is missing")
    return {name: _array(signature, spec, example[name]) for name, spec in specs.items()}


def _array(signature: str, spec: TensorSpec, value: Any) -> Array:
    if hasattr(value, "numpy"):
        value = value.numpy()
    dtype = numpy_dtype(spec.dtype)
    given = np.asarray(value)
    if spec.dtype == "string":
        array = _strings(given)
    elif given.dtype.kind in "OSU" or not np.can_cast(given.dtype, dtype, casting="same_kind"):
        raise UsageError(
            f"examples of {signature!r}: input {spec.name!r} is {given.dtype.name}, the signature takes {spec.dtype}",
            hint=f"convert it with .astype({spec.dtype!r})",
        )
    else:
        array = given.astype(dtype)
    fits = spec.shape is None or (
        array.ndim == len(spec.shape)
        and all(want in (None, size) for want, size in zip(spec.shape, array.shape, strict=True))
    )
    if not fits:
        raise UsageError(
            f"examples of {signature!r}: input {spec.name!r} has shape {list(array.shape)}, the signature takes {spec}",
            hint="an example is a batch of rows, also if there is just one: array[None]",
        )
    return array


def _strings(given: Array) -> Array:
    array = np.empty(given.size, object)
    for position, text in enumerate(given.reshape(-1).tolist()):
        array[position] = text.encode() if isinstance(text, str) else bytes(text)
    return array.reshape(given.shape)
