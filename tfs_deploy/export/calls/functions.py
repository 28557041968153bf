# SPDX-License-Identifier: Apache-2.0
"""Binding signatures to a model: its own call, its methods, and functions beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.calls.own_call import OwnCall, pair_inputs
from tfs_deploy.export.calls.tf_function import default_tensors, own_call_of
from tfs_deploy.export.signatures.arguments import pass_inputs
from tfs_deploy.export.signatures.bound_signature import BoundSignature
from tfs_deploy.export.signatures.names import did_you_mean, spec_hint
from tfs_deploy.export.signatures.signature import METHODS, Signature
from tfs_deploy.export.signatures.specs import as_spec
from tfs_deploy.export.signatures.wrapped_signature import WrappedSignature

Binder = Callable[[str, Signature], BoundSignature]


def bind_all(binder: Binder, signatures: Mapping[str, Signature]) -> list[BoundSignature]:
    """Return every signature bound to a source, with wrappers put around their inner signatures."""
    return [_bind(binder, name, signature) for name, signature in signatures.items()]


def _bind(binder: Binder, name: str, signature: Signature) -> BoundSignature:
    if not isinstance(signature, WrappedSignature):
        return binder(name, signature)
    inner, made = signature.inner, signature.step.input_specs()
    if callable(inner.function) and inner.inputs is None and made is not None:
        inner = replace(inner, inputs=made)
    bound = signature.step.attach(_bind(binder, name, inner), signature)
    return replace(bound, method=METHODS[signature.method])


def bind_own(name: str, own: OwnCall, signature: Signature, dtypes: Mapping[str, str] | None = None) -> BoundSignature:
    """Bind a signature to a model's own call, with its names and specs where the signature gives none.

    ``dtypes``: of the examples by input name, for models that do not know the dtypes of their inputs.
    """
    paired = pair_inputs(name, own.inputs, signature.inputs, dtypes)
    paths = {key: (own.inputs or [])[number].place.path for key, number in paired.numbers.items()}
    order = sorted(paired.numbers, key=lambda key: paired.numbers[key])
    bound = BoundSignature.of(
        name,
        paired.specs,
        METHODS[signature.method],
        lambda tensors: own.call_by_name({path: tensors[key] for key, path in paths.items()}),
        signature.outputs,
        lambda tensors: own.pack([tensors[key] for key in order]),
        own.outputs,
    )
    return replace(bound, guessed=paired.guessed, defaults=paired.defaults)


def bind_function(name: str, function: Callable[..., Any], signature: Signature) -> BoundSignature:
    """Bind a signature to a function of tensors; a ``tf.function`` with an input signature knows its inputs."""
    import tensorflow as tf

    own = own_call_of(function)
    if own is not None:
        return bind_own(name, own, signature)
    if not isinstance(signature.inputs, Mapping):
        raise UsageError(f"Signature {name!r}: the inputs of its function are unknown", hint=spec_hint(name))
    inputs = {key: as_spec(key, value) for key, value in signature.inputs.items()}
    eager = graph = pass_inputs(name, function, list(inputs))
    if not isinstance(function, tf.types.experimental.GenericFunction):
        # Python control flow over tensors becomes part of the graph, as in any tf.function.
        graph = pass_inputs(name, tf.function(function), list(inputs))
    bound = BoundSignature.of(name, inputs, METHODS[signature.method], eager, signature.outputs, graph)
    return replace(bound, defaults={key: value for key, value in default_tensors(function).items() if key in inputs})


def method_of(name: str, source: Any, method: str) -> Callable[..., Any]:
    """Return the method a signature names; raises ``UsageError`` with the closest one there is."""
    function = getattr(source, method, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    public = [key for key in dir(type(source)) if not key.startswith("_")]
    raise UsageError(f"Signature {name!r}: the model has no method {method!r}", hint=did_you_mean(method, public))
