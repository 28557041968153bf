"""Pass the named inputs of a signature to a function, and name its results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean, naming_hint
from tfs_deploy.export.signatures.specs import as_spec

#: takes tensors by input name
NamedCall: TypeAlias = Callable[[Mapping[str, Any]], Any]
Outputs: TypeAlias = "Mapping[str, Any] | Sequence[str] | None"
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def pass_inputs(signature: str, function: Callable[..., Any], names: Sequence[str]) -> NamedCall:
    """Return a call that passes inputs by keyword, in order, or as one dict; ``UsageError`` if none of these fits."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return lambda inputs: function(*(inputs[name] for name in names))
    if _takes_keywords(parameters, names):
        return lambda inputs: function(**{name: inputs[name] for name in names})
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    required = [p for p in parameters if p.default is p.empty and p.kind not in _VARIADIC]
    if {p.name for p in parameters}.isdisjoint(names) and all(p.kind in _POSITIONAL for p in required):
        endless = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        if len(required) <= len(names) and (endless or len(names) <= len(positional)):
            return lambda inputs: function(*(inputs[name] for name in names))
        if positional and len(required) <= 1:
            return lambda inputs: function({name: inputs[name] for name in names})
    takes = ", ".join(p.name for p in parameters) or "nothing"
    raise UsageError(
        f"Signature {signature!r}: the function takes ({takes}), but the inputs are ({', '.join(names)})",
        hint="give the inputs the names of the function's parameters",
    )


def _takes_keywords(parameters: Sequence[inspect.Parameter], names: Sequence[str]) -> bool:
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    required = {p.name for p in parameters if p.default is p.empty and p.kind not in _VARIADIC}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return required.issubset(names) and required <= by_name and (takes_any or by_name.issuperset(names))


def name_outputs(signature: str, result: Any, outputs: Outputs) -> dict[str, Any]:
    """Return the results of a call by output name; raises ``UsageError`` if they cannot be named."""
    if hasattr(result, "_asdict"):
        result = _of_namedtuple(result, outputs)
    if result is None:
        result = {}  # a function that only does something, such as tf.print
    if outputs is None:
        if not isinstance(result, Mapping):
            raise UsageError(
                f"Signature {signature!r}: its outputs have no names", hint=naming_hint(signature, "output")
            )
        named = dict(result)
    elif isinstance(result, Mapping):
        named = {name: _pick(signature, result, name, key) for name, key in _wanted(outputs, list(outputs))}
    else:
        results = list(result) if isinstance(result, (list, tuple)) else [result]
        if len(results) != len(outputs) and not isinstance(outputs, Mapping):
            raise UsageError(
                f"Signature {signature!r}: {len(outputs)} output names for {len(results)} results",
                hint="name each result, in order",
            )
        wanted = _wanted(outputs, list(range(len(outputs))))
        named = {name: _pick(signature, dict(enumerate(results)), name, key) for name, key in wanted}
    if not named:
        raise UsageError(f"Signature {signature!r} has no output", hint=naming_hint(signature, "output"))
    return {name: _as_tensor(signature, name, value, outputs) for name, value in named.items()}


def _of_namedtuple(result: Any, outputs: Outputs) -> Any:
    """Return a named tuple as a dict of its fields, or as a plain tuple if the names are not its own."""
    fields: dict[Any, Any] = result._asdict()
    if outputs is None or isinstance(outputs, Mapping):
        return {**fields, **dict(enumerate(result))} if outputs else fields
    return fields if set(outputs) <= set(fields) else tuple(result)


def _wanted(outputs: Mapping[str, Any] | Sequence[str], default: list[Any]) -> list[tuple[str, Any]]:
    """Pair each output name with the key or position of its result."""
    if not isinstance(outputs, Mapping):
        return list(zip(outputs, default, strict=True))
    return [
        (name, value if isinstance(value, (str, int)) else default[position])
        for position, (name, value) in enumerate(outputs.items())
    ]


def _pick(signature: str, results: Mapping[Any, Any], name: str, key: Any) -> Any:
    if key in results:
        return results[key]
    if isinstance(key, int):
        raise UsageError(
            f"Signature {signature!r}: output {name!r} is result {key}, but there are only {len(results)}",
            hint="results are counted from 0",
        )
    raise UsageError(
        f"Signature {signature!r}: the function does not return {key!r} for output {name!r}",
        hint=did_you_mean(str(key), [str(known) for known in results]),
    )


def _as_tensor(signature: str, name: str, value: Any, outputs: Outputs) -> Any:
    import tensorflow as tf

    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor, tf.IndexedSlices)):
        raise UsageError(
            f"Signature {signature!r}: output {name!r} is a {type(value).__name__}, which a signature cannot carry",
            hint="return .to_tensor(), or its parts as outputs of their own",
        )
    try:
        tensor = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Signature {signature!r}: output {name!r} is a {type(value).__name__}, not a tensor",
            hint="return a tensor, or a flat dict of tensors",
        ) from error
    expected = outputs.get(name) if isinstance(outputs, Mapping) else None
    if expected is not None and not isinstance(expected, (str, int)):
        spec = as_spec(name, expected)
        if spec.dtype != tensor.dtype.name or not tensor.shape.is_compatible_with(spec.shape):
            raise UsageError(
                f"Signature {signature!r}: output {name!r} is {tensor.dtype.name} {tensor.shape}, not {spec}",
                hint="correct the function, or the output's spec",
            )
    return tensor
