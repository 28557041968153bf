# SPDX-License-Identifier: Apache-2.0
"""Name the results of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import naming_hint
from tfs_deploy.export.signatures.nest import NestPath, leaves
from tfs_deploy.export.signatures.pairing import Place, named_alone, pair
from tfs_deploy.export.signatures.specs import as_spec

Outputs: TypeAlias = "Mapping[str, Any] | Sequence[str] | None"


def name_outputs(
    signature: str, result: Any, outputs: Outputs, own: Mapping[NestPath, str] | None = None
) -> dict[str, Any]:
    """Return the results of a call by output name.

    Args:
        signature: for messages.
        result: what the call returned.
        outputs: what the signature says of its outputs.
        own: the model's own names of its results by their paths, where it has some.

    Raises:
        UsageError: the results cannot be named, or are not tensors.
    """
    places, values = _places(result, own)
    if outputs is None:
        chosen = named_alone(signature, "output", places)
    elif isinstance(result, Mapping) or hasattr(result, "_asdict"):
        chosen = pair(
            signature, "output", _keys(signature, outputs, places, is_dict=isinstance(result, Mapping)), places
        )
    else:
        chosen = pair(signature, "output", outputs, places)
    if not chosen:
        raise UsageError(f"Signature {signature!r} has no output", hint=naming_hint(signature, "output"))
    return {name: _as_tensor(signature, name, values[number], outputs) for name, number in chosen.items()}


def _places(result: Any, own: Mapping[NestPath, str] | None) -> tuple[list[Place], list[Any]]:
    """Return the places of the results, and the results themselves."""
    if result is None:
        return [], []  # a function that only does something, such as tf.print
    flat = [] if own is None else leaves(result)
    if own and [path for path, _ in flat] == list(own):  # a call of its own may return something else than its graph
        return [Place(path, own[path]) for path, _ in flat], [value for _, value in flat]
    if hasattr(result, "_asdict"):
        fields = result._asdict()
        return [Place((n,), name) for n, name in enumerate(fields)], list(fields.values())
    if isinstance(result, Mapping):
        return [Place((key,), key) for key in result], list(result.values())
    if isinstance(result, (list, tuple)):
        return [Place((number,), "") for number in range(len(result))], list(result)
    return [Place((), "")], [result]


def _keys(
    signature: str, outputs: Mapping[str, Any] | Sequence[str], places: Sequence[Place], *, is_dict: bool
) -> Mapping[str, Any] | Sequence[str]:
    """Say that names are those of the results: always for a dict, which has no order, else where one of them is."""
    known = {place.name for place in places}
    if not is_dict and known.isdisjoint(outputs):
        return outputs
    said = outputs if isinstance(outputs, Mapping) else dict.fromkeys(outputs)
    for name, key in said.items():
        if is_dict and isinstance(key, int):
            raise UsageError(
                f"Signature {signature!r}: output {name!r} is result {key}, but the function returns a dict",
                hint=f"name its key: {', '.join(map(str, known))}",
            )
    return {
        name: name if (is_dict or name in known) and not isinstance(key, (str, int)) else key
        for name, key in said.items()
    }


def _as_tensor(signature: str, name: str, value: Any, outputs: Outputs) -> Any:
    import tensorflow as tf

    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor, tf.IndexedSlices)):
        raise UsageError(
            f"Signature {signature!r}: output {name!r} is a {type(value).__name__}, which a signature cannot carry",
            hint="return .to_tensor(), or its parts as outputs of their own",
        )
    # TensorFlow would stack tensors in a list into one.
    nested = not tf.is_tensor(value) and any(tf.is_tensor(part) for part in tf.nest.flatten(value))
    try:
        tensor = None if nested else tf.convert_to_tensor(value)
    except (TypeError, ValueError):
        tensor = None
    if tensor is None:
        raise UsageError(
            f"Signature {signature!r}: output {name!r} is a {type(value).__name__}, not a tensor",
            hint="return a tensor, or a flat dict of tensors",
        )
    expected = outputs.get(name) if isinstance(outputs, Mapping) else None
    if expected is not None and not isinstance(expected, (str, int)):
        spec = as_spec(name, expected)
        if spec.dtype != tensor.dtype.name or not tensor.shape.is_compatible_with(spec.shape):
            raise UsageError(
                f"Signature {signature!r}: output {name!r} is {tensor.dtype.name} {tensor.shape}, not {spec}",
                hint="correct the function, or the output's spec",
            )
    return tensor
