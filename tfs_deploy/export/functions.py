"""Binding signatures to a model: its own call, its methods, and functions beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tfs_deploy.errors import UsageError
from tfs_deploy.export.bound import BoundSignature
from tfs_deploy.export.calling import NamedCall, pass_inputs
from tfs_deploy.export.names import check_tensor_name, did_you_mean, naming_hint
from tfs_deploy.export.signature import METHODS, Signature
from tfs_deploy.export.specs import as_spec
from tfs_deploy.protos.signatures import TensorSpec


class OwnCall(Protocol):
    """What a model knows of its own call (or a ``tf.function`` of its input signature)."""

    @property
    def inputs(self) -> list[TensorSpec] | None:
        """The inputs in order, with the model's own names; ``None`` if the model does not know."""

    @property
    def outputs(self) -> list[str] | None:
        """The names of the outputs, in order or as keys; ``None`` if they have none or come as a dict."""

    def call(self, values: list[Any]) -> Any:
        """Call with tensors in the order of ``inputs``."""


def bind_own(name: str, own: OwnCall, signature: Signature) -> BoundSignature:
    """Bind a signature to a model's own call, with its names and specs where the signature gives none."""
    inputs = _own_inputs(name, own.inputs, signature)
    order = list(inputs)
    outputs = own.outputs if signature.outputs is None else signature.outputs

    def call(values: Mapping[str, Any]) -> Any:
        return own.call([values[key] for key in order])

    return BoundSignature(name, inputs, outputs, METHODS[signature.method], call, call)


def _own_inputs(name: str, own: list[TensorSpec] | None, signature: Signature) -> dict[str, TensorSpec]:
    """Return the inputs in the order of the model's own, under the signature's names."""
    given = signature.inputs
    if isinstance(given, Mapping):
        specs = {key: as_spec(key, value) for key, value in given.items()}
        known = [spec.name for spec in own or ()]
        if own is not None and len(specs) != len(own):
            raise UsageError(f"Signature {name!r}: {len(specs)} inputs for a model that takes {len(own)}: {known}")
        if sorted(specs) == sorted(known):
            specs = {key: specs[key] for key in known}
    elif own is None:
        raise UsageError(
            f"Signature {name!r}: the model does not know the shape and dtype of its inputs",
            hint=naming_hint(name, "input"),
        )
    else:
        names = [spec.name for spec in own] if given is None else list(given)
        if len(names) != len(own):
            raise UsageError(f"Signature {name!r}: {len(names)} input names for a model that takes {len(own)}")
        specs = {key: TensorSpec(key, spec.dtype, spec.shape) for key, spec in zip(names, own, strict=True)}
        if len(specs) != len(own):
            raise UsageError(f"Signature {name!r}: two inputs have one name in {names}", hint="give each its own")
    for key in specs:
        check_tensor_name(name, "input", key)
    return specs


def bind_function(name: str, function: Callable[..., Any], signature: Signature) -> BoundSignature:
    """Bind a signature to a function of tensors; a ``tf.function`` with an input signature knows its inputs."""
    import tensorflow as tf

    if not isinstance(signature.inputs, Mapping):
        own = TfFunctionCall.of(function)
        if own is None:
            raise UsageError(
                f"Signature {name!r}: the inputs of its function are not known", hint=naming_hint(name, "input")
            )
        return bind_own(name, own, signature)
    inputs = {check_tensor_name(name, "input", key): as_spec(key, value) for key, value in signature.inputs.items()}
    original = pass_inputs(name, function, list(inputs))
    traceable: NamedCall = original
    if not isinstance(function, tf.types.experimental.GenericFunction):
        # Python control flow over tensors becomes part of the graph, as in any tf.function.
        traceable = pass_inputs(name, tf.function(function), list(inputs))
    return BoundSignature(name, inputs, signature.outputs, METHODS[signature.method], original, traceable)


class TfFunctionCall:
    """The own call of a ``tf.function`` with input signature, or of a concrete function."""

    outputs: list[str] | None = None

    def __init__(self, function: Any, concrete: Any) -> None:
        import tensorflow as tf

        self._function = function
        self._structure = concrete.structured_input_signature
        specs = [spec for spec in tf.nest.flatten(self._structure) if isinstance(spec, tf.TypeSpec)]
        self.inputs: list[TensorSpec] | None = [as_spec(spec.name or "", spec) for spec in specs]

    @classmethod
    def of(cls, function: Any) -> TfFunctionCall | None:
        """Return the call of a function that fixes its inputs, ``None`` for any other."""
        import tensorflow as tf

        if isinstance(function, tf.types.experimental.ConcreteFunction):
            return cls(function, function)
        if not isinstance(function, tf.types.experimental.GenericFunction):
            return None
        if function.input_signature is not None:
            return cls(function, function.get_concrete_function())
        return None

    def call(self, values: list[Any]) -> Any:
        """Call with tensors in the order of ``inputs``."""
        import tensorflow as tf

        args, kwargs = tf.nest.pack_sequence_as(self._structure, values)
        return self._function(*args, **kwargs)


def method_of(name: str, source: Any, method: str) -> Callable[..., Any]:
    """Return the method a signature names; raises ``UsageError`` with the closest one there is."""
    function = getattr(source, method, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    public = [key for key in dir(type(source)) if not key.startswith("_")]
    raise UsageError(f"Signature {name!r}: the model has no method {method!r}", hint=did_you_mean(method, public))
