"""``tf.Module``s and ``tf.function``s: the functions they offer, and the signatures bound to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.functions import TfFunctionCall, bind_all, bind_function, bind_own, method_of
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.export.signatures.signature import Signature
from tfs_deploy.export.sources.keras_source import KerasCall, is_keras
from tfs_deploy.export.sources.source import TracedSource
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.bound_signature import BoundSignature


def open_module(source: Any, signatures: Mapping[str, Signature] | None, _tags: Sequence[str]) -> TracedSource:
    """Open a ``tf.Module``."""
    return TracedSource(bind_module(source, signatures))


def open_functions(source: Any, signatures: Mapping[str, Signature] | None, _tags: Sequence[str]) -> TracedSource:
    """Open one ``tf.function``, or a dict of them by signature name."""
    return TracedSource(bind_functions(source, signatures))


def bind_module(module: Any, signatures: Mapping[str, Signature] | None) -> list[BoundSignature]:
    """Bind signatures to a ``tf.Module``; without any, every ``tf.function`` of it that has an input signature.

    Each is served under its own name, and ``__call__``, or else the only one there is, as ``serving_default``. What
    ``tf.saved_model.load`` made keeps the signatures that it has.
    """

    def bind(name: str, signature: Signature) -> BoundSignature:
        function = signature.function
        if isinstance(function, str):
            function = _saved_signatures(module).get(function) or method_of(name, module, function)
        return _bind_beside(name, module if function is None else function, signature)

    return bind_all(bind, signatures or _served_functions(module))


def bind_functions(source: Any, signatures: Mapping[str, Signature] | None) -> list[BoundSignature]:
    """Bind one ``tf.function``, or a dict of them by signature name."""
    functions: dict[str, Any] = dict(source) if isinstance(source, Mapping) else {DEFAULT_SIGNATURE: source}

    def bind(name: str, signature: Signature) -> BoundSignature:
        function = signature.function
        if isinstance(function, str) and function not in functions:
            raise UsageError(
                f"Signature {name!r}: unknown function {function!r}", hint=did_you_mean(function, functions)
            )
        if isinstance(function, str):
            function = functions[function]
        elif function is None:
            function = functions.get(name) or (next(iter(functions.values())) if len(functions) == 1 else None)
        return _bind_beside(name, function, signature)

    return bind_all(bind, signatures or {name: Signature(function) for name, function in functions.items()})


def _bind_beside(name: str, function: Any, signature: Signature) -> BoundSignature:
    if function is None or not callable(function):
        raise UsageError(
            f"Signature {name!r}: it does not name a function, and the model itself cannot be called",
            hint="Signature('method name', inputs={...}), or pass the function itself",
        )
    if is_keras(function):
        return bind_own(name, KerasCall(function), signature)
    own = TfFunctionCall.of(function.__call__)
    if own is not None and not isinstance(signature.inputs, Mapping):
        return bind_own(name, own, signature)
    return bind_function(name, function, signature)


def _served_functions(module: Any) -> dict[str, Signature]:
    saved = _saved_signatures(module)
    if saved:
        return {name: Signature(function) for name, function in saved.items()}
    methods: dict[str, Callable[..., Any]] = {}
    for key in [*dir(type(module)), *sorted(vars(module))]:
        if key.startswith("_") and key != "__call__":
            continue
        function = getattr(module, key, None)
        if function is not None and TfFunctionCall.fits(function):
            methods[key] = function
    default = methods.pop("__call__", None) or methods.get(DEFAULT_SIGNATURE)
    if default is None and len(methods) == 1:
        default = methods.popitem()[1]
    if default is None and not methods:
        raise UsageError(
            f"{type(module).__name__} has no tf.function with an input_signature",
            hint="signatures={'serving_default': Signature('method', inputs={'x': ('float32', (None, 4))})}",
        )
    signatures = {key: Signature(function) for key, function in methods.items()}
    if default is not None:
        signatures[DEFAULT_SIGNATURE] = Signature(default)
    return signatures


def _saved_signatures(module: Any) -> Mapping[str, Callable[..., Any]]:
    """Return the signatures of what ``tf.saved_model.load`` made."""
    signatures = getattr(module, "signatures", None)
    return signatures if isinstance(signatures, Mapping) else {}
