# SPDX-License-Identifier: Apache-2.0
"""``tf.Module``s and ``tf.function``s: the functions they offer, and the signatures bound to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.calls.functions import bind_all, bind_function, bind_own, method_of
from tfs_deploy.export.calls.keras_call import KerasCall
from tfs_deploy.export.calls.tf_function import composite_inputs, own_call_of
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.export.signatures.signature import Signature
from tfs_deploy.export.sources.keras_source import is_keras
from tfs_deploy.export.sources.source import TracedSource
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.sources.source import Dtypes

logger = logging.getLogger(__name__)


def open_module(source: Any, signatures: Mapping[str, Signature] | None, dtypes: Dtypes) -> TracedSource:
    """Open a ``tf.Module``."""
    return TracedSource(bind_module(source, signatures, dtypes))


def open_functions(source: Any, signatures: Mapping[str, Signature] | None, dtypes: Dtypes) -> TracedSource:
    """Open one ``tf.function``, or a dict of them by signature name."""
    return TracedSource(bind_functions(source, signatures, dtypes))


def bind_module(module: Any, signatures: Mapping[str, Signature] | None, dtypes: Dtypes) -> list[BoundSignature]:
    """Bind signatures to a ``tf.Module``; without any, every ``tf.function`` of it that has an input signature.

    Each is served under its own name, and ``__call__``, or else the only one there is, as ``serving_default``. What
    ``tf.saved_model.load`` made keeps the signatures that it has.
    """

    def bind(name: str, signature: Signature) -> BoundSignature:
        function = signature.function
        if isinstance(function, str):
            function = _saved_signatures(module).get(function) or method_of(name, module, function)
        return _bind_beside(name, module if function is None else function, signature, dtypes.get(name, {}))

    return bind_all(bind, signatures or _served_functions(module))


def bind_functions(source: Any, signatures: Mapping[str, Signature] | None, dtypes: Dtypes) -> list[BoundSignature]:
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
        return _bind_beside(name, function, signature, dtypes.get(name, {}))

    return bind_all(bind, signatures or {name: Signature(function) for name, function in functions.items()})


def _bind_beside(name: str, function: Any, signature: Signature, dtypes: Mapping[str, str]) -> BoundSignature:
    if function is None or not callable(function):
        raise UsageError(
            f"Signature {name!r}: it does not name a function, and the model itself cannot be called",
            hint="Signature('method name', inputs={...}), or pass the function itself",
        )
    if is_keras(function):
        return KerasCall(function).bind(name, signature, dtypes)
    own = own_call_of(function.__call__)
    if own is not None:
        return bind_own(name, own, signature)
    return bind_function(name, function, signature)


def _served_functions(module: Any) -> dict[str, Signature]:
    saved = _saved_signatures(module)
    if saved:
        return {name: Signature(function) for name, function in saved.items()}
    methods: dict[str, Callable[..., Any]] = {}
    left_out: dict[str, str] = {}
    for key in [*dir(type(module)), *sorted(vars(module))]:
        if key.startswith("_") and key != "__call__":
            continue
        function = getattr(module, key, None)
        if function is None:
            continue
        composite = composite_inputs(function)
        if composite:
            left_out[key] = composite[0]
        elif composite is not None:
            methods[key] = function
    for key, kind in left_out.items():
        logger.warning(
            "%s of %s is not served: it takes a %s, which a signature cannot carry; take its parts (values and row "
            "lengths, or a dense tensor) in a function of your own",
            *(key, type(module).__name__, kind),
        )
    default = methods.pop("__call__", None) or methods.get(DEFAULT_SIGNATURE)
    if default is None and len(methods) == 1 and not left_out:
        default = methods.popitem()[1]
    if default is None and not methods:
        raise UsageError(
            f"{type(module).__name__} has no tf.function with an input_signature"
            + "".join(f", but that {key} takes a {kind}" for key, kind in left_out.items()),
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
