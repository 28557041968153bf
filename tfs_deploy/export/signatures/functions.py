"""Binding signatures to a model: its own call, its methods, and functions beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.arguments import pass_inputs
from tfs_deploy.export.signatures.bound_signature import BoundSignature
from tfs_deploy.export.signatures.names import did_you_mean, naming_hint
from tfs_deploy.export.signatures.signature import METHODS, Signature
from tfs_deploy.export.signatures.specs import as_spec
from tfs_deploy.export.signatures.wrapped_signature import WrappedSignature
from tfs_deploy.protos.signatures import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence


class OwnCall(Protocol):
    """The call that a model or a ``tf.function`` offers by itself, with what it knows of its inputs and outputs."""

    @property
    def inputs(self) -> list[TensorSpec] | None:
        """The inputs in order, with the model's own names; ``None`` if the model does not know."""

    @property
    def outputs(self) -> list[str] | None:
        """The names of the outputs, in order or as keys; ``None`` if they have none or come as a dict."""

    def call(self, values: list[Any]) -> Any:
        """Call with tensors in the order of ``inputs``."""


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


def bind_own(name: str, own: OwnCall, signature: Signature) -> BoundSignature:
    """Bind a signature to a model's own call, with its names and specs where the signature gives none."""
    inputs = own_inputs(name, own.inputs, signature.inputs)
    order = list(inputs)
    outputs = own.outputs if signature.outputs is None else signature.outputs
    return BoundSignature.of(
        name, inputs, METHODS[signature.method], lambda values: own.call([values[key] for key in order]), outputs
    )


def own_inputs(
    name: str, own: list[TensorSpec] | None, given: Mapping[str, Any] | Sequence[str] | None
) -> dict[str, TensorSpec]:
    """Return the inputs in the order of the model's own, under the names that the signature gives."""
    known = [spec.name for spec in own or ()]
    if isinstance(given, Mapping):
        specs = {key: as_spec(key, value) for key, value in given.items()}
        if own is not None and len(specs) != len(own):
            raise UsageError(
                f"Signature {name!r}: {len(specs)} inputs for a model that takes {len(own)}: {known}",
                hint="give one spec for each, or none to keep the model's own",
            )
        return {key: specs[key] for key in known} if sorted(specs) == sorted(known) else specs
    if own is None:
        raise UsageError(
            f"Signature {name!r}: the model does not know the shape and dtype of its inputs",
            hint=naming_hint(name, "input"),
        )
    names = known if given is None else list(given)
    if len(names) != len(own):
        raise UsageError(
            f"Signature {name!r}: {len(names)} input names for a model that takes {len(own)}: {known}",
            hint="give one name for each, in the model's order",
        )
    specs = {key: TensorSpec(key, spec.dtype, spec.shape) for key, spec in zip(names, own, strict=True)}
    if len(specs) != len(own):
        raise UsageError(f"Signature {name!r}: two inputs have the same name in {names}", hint="give each its own")
    return specs


def bind_function(name: str, function: Callable[..., Any], signature: Signature) -> BoundSignature:
    """Bind a signature to a function of tensors; a ``tf.function`` with an input signature knows its inputs."""
    import tensorflow as tf

    method = METHODS[signature.method]
    if not isinstance(signature.inputs, Mapping):
        own = TfFunctionCall.of(function)
        if own is None:
            raise UsageError(
                f"Signature {name!r}: the inputs of its function are unknown", hint=naming_hint(name, "input")
            )
        return bind_own(name, own, signature)
    inputs = {key: as_spec(key, value) for key, value in signature.inputs.items()}
    eager = graph = pass_inputs(name, function, list(inputs))
    if not isinstance(function, tf.types.experimental.GenericFunction):
        # Python control flow over tensors becomes part of the graph, as in any tf.function.
        graph = pass_inputs(name, tf.function(function), list(inputs))
    return BoundSignature.of(name, inputs, method, eager, signature.outputs, graph)


@dataclass(frozen=True)
class TfFunctionCall:
    """The own call of a ``tf.function`` with input signature, or of a concrete function."""

    function: Callable[..., Any]
    structure: Any
    inputs: list[TensorSpec] | None
    outputs: list[str] | None = None

    @classmethod
    def of(cls, function: Any) -> TfFunctionCall | None:
        """Return the call of a function that fixes its inputs, ``None`` for any other; ``UsageError`` if ragged."""
        import tensorflow as tf

        structure = _fixed_inputs(function)
        if structure is None:
            return None
        specs = [spec for spec in tf.nest.flatten(structure) if isinstance(spec, tf.TypeSpec)]
        return cls(function, structure, [as_spec(getattr(spec, "name", None) or "", spec) for spec in specs])

    @staticmethod
    def fits(function: Any) -> bool:
        """Tell whether a function fixes its inputs, and all of them are plain tensors."""
        import tensorflow as tf

        structure = _fixed_inputs(function)
        return structure is not None and all(
            isinstance(spec, tf.TensorSpec) or not isinstance(spec, tf.TypeSpec) for spec in tf.nest.flatten(structure)
        )

    def call(self, values: list[Any]) -> Any:
        """Call with tensors in the order of ``inputs``."""
        import tensorflow as tf

        args, kwargs = tf.nest.pack_sequence_as(self.structure, values)
        return self.function(*args, **kwargs)


def _fixed_inputs(function: Any) -> Any:
    """Return the structure of ``tf.TypeSpec``s that a function fixes, ``None`` if it fixes none."""
    import tensorflow as tf

    if isinstance(function, tf.types.experimental.ConcreteFunction):
        return function.structured_input_signature
    if isinstance(function, tf.types.experimental.GenericFunction) and function.input_signature is not None:
        return function.get_concrete_function().structured_input_signature
    return None


def method_of(name: str, source: Any, method: str) -> Callable[..., Any]:
    """Return the method a signature names; raises ``UsageError`` with the closest one there is."""
    function = getattr(source, method, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    public = [key for key in dir(type(source)) if not key.startswith("_")]
    raise UsageError(f"Signature {name!r}: the model has no method {method!r}", hint=did_you_mean(method, public))
