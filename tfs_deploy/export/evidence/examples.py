# SPDX-License-Identifier: Apache-2.0
"""Example requests, checked against the signatures and converted to arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.export.evidence.example_arrays import dtype_of, example_array
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.savedmodel.goldens import Golden

if TYPE_CHECKING:
    import numpy as np

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
        optional = source.defaults(signature)
        found += [_one(signature, specs, optional, one) for one in (given if several else [given])]
    return found


def example_dtypes(examples: Any) -> dict[str, dict[str, str]]:
    """Return the dtypes of the values by signature and input, for models that do not know those of their inputs.

    What cannot be read is left out: ``as_examples`` reports it.
    """
    dtypes: dict[str, dict[str, str]] = {}
    for signature, given in examples.items() if isinstance(examples, Mapping) else ():
        first = given[0] if isinstance(given, list) and given else given
        inputs = first.inputs if isinstance(first, Golden) else first
        for name, value in inputs.items() if isinstance(inputs, Mapping) else ():
            with contextlib.suppress(TfsDeployError):
                dtypes.setdefault(signature, {})[name] = dtype_of(value)
    return dtypes


def _one(signature: str, specs: dict[str, TensorSpec], optional: Collection[str], example: Any) -> Example:
    if isinstance(example, Golden):
        return Example(signature, _one_example(signature, specs, optional, example.inputs), dict(example.outputs))
    return Example(signature, _one_example(signature, specs, optional, example))


def _one_example(
    signature: str, specs: dict[str, TensorSpec], optional: Collection[str], example: Any
) -> dict[str, Array]:
    if not isinstance(example, Mapping):
        raise UsageError(
            f"examples of {signature!r}: an example is a dict of inputs, not {type(example).__name__}",
            hint=f"{{{', '.join(f'{name!r}: ...' for name in specs)}}}",
        )
    for name in example:
        if name not in specs:
            raise UsageError(f"examples of {signature!r}: unknown input {name!r}", hint=did_you_mean(name, specs))
    missing = [name for name in specs if name not in example and name not in optional]
    if missing:
        raise UsageError(
            f"examples of {signature!r}: input {missing[0]!r} is missing",
            hint=f"an example gives every input: {', '.join(specs)}",
        )
    return {name: example_array(signature, spec, example[name]) for name, spec in specs.items() if name in example}
