"""Keras models: their own inputs and outputs, and the call that is served."""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.functions import bind_all, bind_function, bind_own, method_of, own_inputs
from tfs_deploy.export.signatures.names import naming_hint
from tfs_deploy.export.signatures.signature import Signature
from tfs_deploy.export.signatures.specs import as_spec, free_batch
from tfs_deploy.export.sources.keras_file import load_keras_file
from tfs_deploy.export.sources.source import TracedSource
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.protos.signatures import TensorSpec

logger = logging.getLogger(__name__)
_OWN = frozenset({"__call__", "call"})
#: methods that take and return numpy arrays
_LOOPS = frozenset({"predict", "predict_on_batch", "fit", "evaluate"})


def open_keras(source: Any, signatures: Mapping[str, Signature] | None, _tags: Sequence[str]) -> TracedSource:
    """Open a Keras model, or the file of one."""
    model = load_keras_file(source) if isinstance(source, (str, os.PathLike)) else source
    if not is_keras(model):
        raise UsageError(
            f"a {type(model).__name__} is not a Keras model", hint="leave the kind out to have it detected"
        )
    return TracedSource(bind_keras(model, signatures))


def bind_keras(model: Any, signatures: Mapping[str, Signature] | None) -> list[BoundSignature]:
    """Bind signatures to a Keras model; without any, ``serving_default`` with the names of its inputs and outputs."""
    _check_backend(model)
    own = KerasCall(model)

    def bind(name: str, signature: Signature) -> BoundSignature:
        return _bind(name, model, own, signature)

    return bind_all(bind, signatures or {DEFAULT_SIGNATURE: Signature()})


def _bind(name: str, model: Any, own: KerasCall, signature: Signature) -> BoundSignature:
    function = signature.function
    if isinstance(function, str) and function in _LOOPS:
        raise UsageError(
            f"Signature {name!r}: {function!r} works on numpy arrays and cannot go into a graph",
            hint="leave the function out: the model itself is called",
        )
    if function is None or function is model or (isinstance(function, str) and function in _OWN):
        if signature.outputs is None:
            _check_own_outputs(name, own.outputs)
        return bind_own(name, own, signature)
    if isinstance(function, str):
        function = method_of(name, model, function)
    elif is_keras(function):
        return bind_own(name, KerasCall(function), signature)
    if not isinstance(signature.inputs, Mapping):
        # A function beside the model takes what the model takes.
        signature = replace(signature, inputs=own_inputs(name, own.inputs, signature.inputs))
    return bind_function(name, function, signature)


def is_keras(value: Any) -> bool:
    """Tell whether a value is a Keras model or layer (Keras 3 or tf_keras), without importing either."""
    return any(
        cls.__name__ == "Layer" and cls.__module__.partition(".")[0] in ("keras", "tf_keras")
        for cls in type(value).__mro__
    )


def _check_backend(model: Any) -> None:
    if any(cls.__module__.startswith("tf_keras.") for cls in type(model).__mro__):
        return  # Keras 2 has no other backend
    import keras

    backend = keras.config.backend()
    if backend != "tensorflow":
        raise UsageError(
            f"Keras runs on {backend}, whose models are not TensorFlow graphs",
            hint="set KERAS_BACKEND=tensorflow before keras is imported, and load the model again",
        )


def _check_own_outputs(name: str, outputs: list[str] | None) -> None:
    if outputs is None:
        return
    if len(set(outputs)) != len(outputs):
        raise UsageError(
            f"Signature {name!r}: two outputs have the same name in {outputs}", hint=naming_hint(name, "output")
        )
    for output in outputs:
        if re.search(r"_\d+$", output):
            logger.warning(
                "signature %s: Keras may have numbered the output name %s, so the next export could differ; %s",
                *(name, output, naming_hint(name, "output")),
            )


class KerasCall:
    """The own call of a Keras model, in inference mode."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._graph = _functional(model)
        self._keys: list[str] | None = None
        self.inputs: list[TensorSpec] | None = None
        self.outputs: list[str] | None = None
        if self._graph is not None:
            self.inputs = [_spec(model, key, tensor) for key, tensor in _named(self._graph.input)]
            self.outputs = _output_names(self._graph)
        else:
            self._keys, self.inputs = _recorded_inputs(model)
            names = getattr(model, "output_names", None)
            self.outputs = list(names) if names else None
        self._training = {"training": False} if _needs_training(model) else {}

    def call(self, values: list[Any]) -> Any:
        """Call with tensors in the order of ``inputs``."""
        return self._model(*self._arguments(values), **self._training)

    def _arguments(self, values: list[Any]) -> list[Any]:
        if self._graph is not None:
            return [_pack(self._graph.input, iter(values))]
        if self._keys is not None and len(self._keys) == len(values):
            return [dict(zip(self._keys, values, strict=True))]
        return values


def _functional(model: Any) -> Any:
    """Return the Functional graph of a model: itself, or what a built Sequential wraps; ``None`` for others."""
    graph = getattr(model, "_functional", None) or model
    is_graph = any(cls.__name__ == "Functional" for cls in type(graph).__mro__)
    return graph if is_graph and getattr(graph, "inputs", None) else None


def _named(structure: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """Pair the inputs with their names: the keys that lead to them in dicts, else the names of the tensors."""
    if isinstance(structure, Mapping):
        return [pair for key, value in structure.items() for pair in _named(value, (*path, str(key)))]
    if isinstance(structure, (list, tuple)):
        return [pair for value in structure for pair in _named(value, path)]
    return [("_".join(path) or structure.name, structure)]


def _pack(structure: Any, values: Iterator[Any]) -> Any:
    """Put values, in the order of ``_named``, into the structure that the model takes."""
    if isinstance(structure, Mapping):
        return {key: _pack(value, values) for key, value in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_pack(value, values) for value in structure]
    return next(values)


def _spec(model: Any, name: str, tensor: Any) -> TensorSpec:
    """Return the spec of an input, its batch dimension free unless the model's author fixed it on an Input.

    A Sequential without an Input keeps the size of its first batch, which is never intended.
    """
    spec = as_spec(name, tensor)
    return spec if getattr(model, "_functional", None) is None else free_batch(spec)


def _output_names(graph: Any) -> list[str]:
    structure = graph.output
    return list(structure) if isinstance(structure, Mapping) else list(graph.output_names)


def _recorded_inputs(model: Any) -> tuple[list[str] | None, list[TensorSpec] | None]:
    """Return the keys (for a dict of inputs) and specs that a subclassed model recorded when it was first called."""
    shapes = dict(getattr(model, "_build_shapes_dict", None) or {})
    if not shapes:
        return None, None
    dtype = str(getattr(model, "input_dtype", None) or "float32")

    def spec(name: str, shape: Any) -> TensorSpec:
        return free_batch(as_spec(name, (dtype, tuple(shape))))

    if len(shapes) == 1:
        (shape,) = shapes.values()
        if isinstance(shape, Mapping):
            return list(shape), [spec(key, shape[key]) for key in shape]
        return None, [spec(_first_parameter(model), shape)] if _is_shape(shape) else None
    if not all(_is_shape(shape) for shape in shapes.values()):
        return None, None
    return None, [spec(key.removesuffix("_shape"), shape) for key, shape in shapes.items()]


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(size is None or isinstance(size, int) for size in value)


def _first_parameter(model: Any) -> str:
    return next(iter(inspect.signature(model.call).parameters), "inputs")


def _needs_training(model: Any) -> bool:
    """Return whether a call must say that it does not train: by default that argument is true, or has no default.

    Elsewhere it stays unsaid, as in ``model(x)``: said, it also reaches the layers of a functional model that were
    called with ``training=True`` on purpose.
    """
    try:
        parameter = inspect.signature(model.call).parameters.get("training")
    except (TypeError, ValueError, AttributeError):
        return False
    return parameter is not None and parameter.default is not None and parameter.default is not False
