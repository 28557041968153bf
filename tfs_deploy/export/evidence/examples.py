"""Example requests, checked against the signatures and converted to arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec import numpy_dtype
from tfs_deploy.codec.arrays import wide_array
from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.savedmodel.goldens import Golden

if TYPE_CHECKING:
    from tfs_deploy.export.sources.source import Source
    from tfs_deploy.protos.signatures import TensorSpec

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Example:
    """One request: a signature, an array for each of its inputs, and the expected answer if the caller gave it."""

    signature: str
    inputs: dict[str, Array]
    answer: dict[str, Array] | None = None


def as_examples(source: Source, examples: Any) -> list[Example]:
    """Check an ``examples`` argument against the signatures and return the examples.

    It is ``{signature: {input: array}}``; the inner dict may also be a ``Golden``, or a list of either.
    """
    if examples is None:
        return []
    if not isinstance(examples, Mapping):
        raise UsageError(
            f"examples must be a dict, not {type(examples).__name__}",
            hint="examples={'serving_default': {'image': rows}}",
        )
    found: list[Example] = []
    for signature, given in examples.items():
        specs = source.inputs(signature)
        if specs is None:
            raise UsageError(
                f"examples: unknown signature {signature!r}", hint=did_you_mean(signature, source.signature_names())
            )
        several = isinstance(given, Sequence) and not isinstance(given, (str, bytes))
        found += [_one(signature, specs, one) for one in (given if several else [given])]
    return found


def _one(signature: str, specs: dict[str, TensorSpec], example: Any) -> Example:
    if isinstance(example, Golden):
        return Example(signature, _one_example(signature, specs, example.inputs), dict(example.outputs))
    return Example(signature, _one_example(signature, specs, example))


def _one_example(signature: str, specs: dict[str, TensorSpec], example: Any) -> dict[str, Array]:
    if not isinstance(example, Mapping):
        raise UsageError(
            f"examples of {signature!r}: an example is a dict of inputs, not {type(example).__name__}",
            hint=f"{{{', '.join(f'{name!r}: ...' for name in specs)}}}",
        )
    for name in example:
        if name not in specs:
            raise UsageError(f"examples of {signature!r}: unknown input {name!r}", hint=did_you_mean(name, specs))
    missing = [name for name in specs if name not in example]
    if missing:
        raise UsageError(
            f"examples of {signature!r}: input {missing[0]!r} is missing",
            hint=f"an example gives every input: {', '.join(specs)}",
        )
    return {name: _array(signature, spec, example[name]) for name, spec in specs.items()}


def _array(signature: str, spec: TensorSpec, value: Any) -> Array:
    if hasattr(value, "numpy"):
        value = value.numpy()
    dtype = numpy_dtype(spec.dtype)
    given = wide_array(value)
    if spec.dtype == "string":
        array = _strings(given)
    elif given.dtype.kind in "OSU" or not np.can_cast(given.dtype, dtype, casting="same_kind"):
        raise UsageError(
            f"examples of {signature!r}: input {spec.name!r} is {given.dtype.name}, "
            f"but the signature takes {spec.dtype}",
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
            f"examples of {signature!r}: input {spec.name!r} has shape {list(array.shape)}, "
            f"but the signature takes {spec}",
            hint="an example is a batch, even of a single row: array[None]",
        )
    return array


def _strings(given: Array) -> Array:
    array = np.empty(given.size, object)
    for position, text in enumerate(given.reshape(-1).tolist()):
        array[position] = text.encode() if isinstance(text, str) else bytes(text)
    return array.reshape(given.shape)
