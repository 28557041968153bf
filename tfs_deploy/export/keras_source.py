"""Keras models: what they know of their own inputs and outputs, and how they are called for serving."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from typing import Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.bound import BoundSignature
from tfs_deploy.export.functions import bind_function, bind_own, method_of
from tfs_deploy.export.names import naming_hint
from tfs_deploy.export.signature import Signature
from tfs_deploy.export.specs import as_spec, free_batch
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE, TensorSpec

logger = logging.getLogger(__name__)
_OWN = frozenset({"__call__", "call"})
#: methods that take and return numpy arrays
_LOOPS = frozenset({"predict", "predict_on_batch", "fit", "evaluate"})


def bind_keras(model: Any, signatures: Mapping[str, Signature] | None) -> list[BoundSignature]:
    """Bind signatures to a Keras model; without any, ``serving_default`` with the names of its inputs and outputs."""
    _check_backend()
    own = KerasCall(model)
    if signatures is None:
        signatures = {DEFAULT_SIGNATURE: Signature()}
    return [_bind(name, model, own, signature) for name, signature in signatures.items()]


def _bind(name: str, model: Any, own: KerasCall, signature: Signature) -> BoundSignature:
    function = signature.function
    if isinstance(function, str) and function in _LOOPS:
        raise UsageError(
            f"Signature {name!r}: {function!r} works on numpy arrays and cannot go into a graph",
            hint="leave the function out: the model itself is called",
        )
    if function is None or function is model or (isinstance(function, str) and function in _OWN):
        bound = bind_own(name, own, signature)
        _check_outputs(name, bound)
        return bound
    if isinstance(function, str):
        function = method_of(name, model, function)
    elif is_keras(function):
        return bind_own(name, KerasCall(function), signature)
    if signature.inputs is None or not isinstance(signature.inputs, Mapping):
        signature = _with_own_inputs(name, own, signature)
    return bind_function(name, function, signature)


def _with_own_inputs(name: str, own: KerasCall, signature: Signature) -> Signature:
    """Give a function beside the model the inputs of the model itself."""
    specs = bind_own(name, own, Signature(inputs=signature.inputs, outputs=())).inputs
    return Signature(signature.function, specs, signature.outputs, signature.method)


def is_keras(value: Any) -> bool:
    """Tell whether a value is a Keras model or layer (Keras 3 or tf_keras), without importing either."""
    return any(
        cls.__module__.partition(".")[0] in ("keras", "tf_keras") and cls.__name__ == "Layer"
        for cls in type(value).__mro__
    )


def _check_backend() -> None:
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UsageError(
            f"Keras runs on {backend}, whose models are no TensorFlow graphs",
            hint="set KERAS_BACKEND=tensorflow before keras is imported, and load the model again",
        )


def _check_outputs(name: str, bound: BoundSignature) -> None:
    outputs = bound.outputs
    if isinstance(outputs, list):
        if len(set(outputs)) != len(outputs):
            raise UsageError(
                f"Signature {name!r}: two outputs have one name in {outputs}", hint=naming_hint(name, "output")
            )
        for output in outputs:
            if re.search(r"_\d+$", output):
                logger.warning(
                    "signature %s: the output name %s looks like one that Keras counted up; %s",
                    *(name, output, naming_hint(name, "output")),
                )


class KerasCall:
    """The own call of a Keras model, in inference mode."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._graph = _functional(model)
        self.inputs: list[TensorSpec] | None = None
        self.outputs: list[str] | None = None
        if self._graph is not None:
            named = _named(self._graph._inputs_struct, self._graph.inputs)
            self.inputs = [_spec(model, key, tensor) for key, tensor in named]
            self.outputs = _output_names(self._graph)
        else:
            self._keys, self.inputs = _recorded_inputs(model)
            names = getattr(model, "output_names", None)
            self.outputs = list(names) if names else None

    def call(self, values: list[Any]) -> Any:
        """Call with tensors in the order of ``inputs``."""
        arguments = self._arguments(values)
        training = {"training": False} if _takes_training(self._model) else {}
        return self._model(*arguments, **training)

    def _arguments(self, values: list[Any]) -> list[Any]:
        if self._graph is not None:
            import keras

            return [keras.tree.pack_sequence_as(self._graph._inputs_struct, values)]
        if self._keys is not None and len(self._keys) == len(values):
            return [dict(zip(self._keys, values, strict=True))]
        return values


def _functional(model: Any) -> Any:
    """Return the Functional graph of a model: itself, or what a built Sequential wraps; ``None`` for others."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_inputs_struct") and getattr(graph, "inputs", None) else None


def _named(structure: Any, tensors: list[Any]) -> list[tuple[str, Any]]:
    """Pair the inputs with their names: the keys of a dict of inputs, else the names of the tensors."""
    if isinstance(structure, Mapping):
        import keras

        paths = keras.tree.flatten_with_path(dict(structure))
        return [("_".join(str(part) for part in path), tensor) for path, tensor in paths]
    return [(tensor.name, tensor) for tensor in tensors]


def _spec(model: Any, name: str, tensor: Any) -> TensorSpec:
    """Return the spec of an input, its batch dimension free unless the model's author fixed it on an Input.

    A Sequential without an Input takes over the batch size of its first batch, which nobody meant.
    """
    spec = as_spec(name, tensor)
    on_purpose = getattr(model, "_functional", None) is None
    return spec if on_purpose else free_batch(spec)


def _output_names(graph: Any) -> list[str]:
    structure = graph._outputs_struct
    if isinstance(structure, Mapping):
        return list(structure)
    return list(graph.output_names)


def _recorded_inputs(model: Any) -> tuple[list[str] | None, list[TensorSpec] | None]:
    """Return the keys (for a dict of inputs) and specs that a subclassed model recorded when it was first called."""
    shapes = getattr(model, "_build_shapes_dict", None)
    if not shapes:
        return None, None
    dtype = str(getattr(model, "input_dtype", None) or "float32")
    flat = dict(shapes)
    if len(flat) == 1:
        (shape,) = flat.values()
        if isinstance(shape, Mapping):
            specs = [free_batch(as_spec(key, (dtype, tuple(shape[key])))) for key in shape]
            return list(shape), specs
        if not _is_shape(shape):
            return None, None
        return None, [free_batch(as_spec(_first_parameter(model), (dtype, tuple(shape))))]
    if not all(_is_shape(shape) for shape in flat.values()):
        return None, None
    return None, [free_batch(as_spec(key.removesuffix("_shape"), (dtype, tuple(shape)))) for key, shape in flat.items()]


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(size is None or isinstance(size, int) for size in value)


def _first_parameter(model: Any) -> str:
    return next(iter(inspect.signature(model.call).parameters), "inputs")


def _takes_training(model: Any) -> bool:
    try:
        parameters = inspect.signature(model.call).parameters
    except (TypeError, ValueError, AttributeError):
        return False
    return "training" in parameters
