"""``tf.Module``s and plain ``tf.function``s: which functions they offer, and binding signatures to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.bound import BoundSignature
from tfs_deploy.export.functions import TfFunctionCall, bind_function, method_of
from tfs_deploy.export.keras_source import KerasCall, is_keras
from tfs_deploy.export.functions import bind_own
from tfs_deploy.export.signature import Signature
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE


def bind_module(module: Any, signatures: Mapping[str, Signature] | None) -> list[BoundSignature]:
    """Bind signatures to a ``tf.Module``; without any, every ``tf.function`` of it that has an input signature.

    Then each method is served under its own name, and ``__call__``, or else the only method there is, also as
    ``serving_default``.
    """
    if signatures is None:
        signatures = _offered(module)
    return [bind_beside(name, module, signature) for name, signature in signatures.items()]


def bind_functions(source: Any, signatures: Mapping[str, Signature] | None) -> list[BoundSignature]:
    """Bind one ``tf.function``, or a dict of them by signature name."""
    functions = dict(source) if isinstance(source, Mapping) else {DEFAULT_SIGNATURE: source}
    if signatures is None:
        signatures = {name: Signature(function) for name, function in functions.items()}
    only = next(iter(functions.values())) if len(functions) == 1 else None
    return [bind_beside(name, only, signature) for name, signature in signatures.items()]


def bind_beside(name: str, source: Any, signature: Signature) -> BoundSignature:
    """Bind one signature to a function of its own, to a method of the source, or to the source's call."""
    function = signature.function
    if isinstance(function, str):
        function = method_of(name, source, function)
    elif function is None:
        function = source
    if function is None or not callable(function):
        raise UsageError(
            f"Signature {name!r}: it names no function, and the model itself cannot be called",
            hint="Signature('method name', inputs={...}), or pass the function itself",
        )
    if is_keras(function):
        return bind_own(name, KerasCall(function), signature)
    return bind_function(name, function, signature)


def _offered(module: Any) -> dict[str, Signature]:
    methods: dict[str, Callable[..., Any]] = {}
    for key in dir(type(module)) + sorted(vars(module)):
        if key.startswith("_") and key != "__call__":
            continue
        function = getattr(module, key, None)
        if TfFunctionCall.of(function) is not None and callable(function):
            methods[key] = function
    own_call = methods.pop("__call__", None)
    default = (
        own_call or methods.get(DEFAULT_SIGNATURE) or (next(iter(methods.values())) if len(methods) == 1 else None)
    )
    if default is None and not methods:
        raise UsageError(
            f"{type(module).__name__} has no tf.function with an input_signature",
            hint="signatures={'serving_default': Signature('method', inputs={'x': ('float32', (None, 4))})}",
        )
    signatures = {key: Signature(function) for key, function in methods.items()}
    if default is not None:
        signatures[DEFAULT_SIGNATURE] = Signature(default)
    return signatures
