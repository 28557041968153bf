# SPDX-License-Identifier: Apache-2.0
"""The own call of a Keras model, in inference mode."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.calls.functions import bind_own
from tfs_deploy.export.calls.keras_record import Recorded, first_shape, recorded_arguments
from tfs_deploy.export.calls.own_call import OwnCall, OwnInput
from tfs_deploy.export.signatures.arguments import parameters_of, pass_inputs, takes_keywords
from tfs_deploy.export.signatures.bound_signature import BoundSignature, first_line
from tfs_deploy.export.signatures.names import spec_hint
from tfs_deploy.export.signatures.nest import NestPath, fill, leaves, path_text
from tfs_deploy.export.signatures.pairing import Place
from tfs_deploy.export.signatures.signature import METHODS, Signature
from tfs_deploy.export.signatures.specs import as_spec, free_batch, tf_spec
from tfs_deploy.protos.signatures import TensorSpec

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.arguments import NamedCall


class KerasCall:
    """The own call of a model, and how signatures are bound to it."""

    def __init__(self, model: Any) -> None:
        parameters = parameters_of(model.call) or []
        self._model = model
        self._parameters = [p for p in parameters if p.name != "training"]
        graph = _functional(model)
        told = len(self._parameters) < len(parameters) and not _trains_on_purpose(graph)
        self._call: Callable[..., Any] = _inference(model) if told else model
        self._subclassed = graph is None
        self.own = self._of_record(model) if graph is None else self._of_graph(model, graph)

    def bind(self, name: str, signature: Signature, dtypes: Mapping[str, str]) -> BoundSignature:
        """Bind a signature to the call.

        A subclassed model takes its inputs by the parameters of its ``call`` that have their names, else in the
        structure that it was first called with.
        """
        given = signature.inputs
        specs = (
            {key: as_spec(key, value) for key, value in given.items()}
            if self._subclassed
            and isinstance(given, Mapping)
            and not any(value is None or isinstance(value, str) for value in given.values())
            else None
        )
        if specs is None and self.own.inputs is None and not isinstance(given, Mapping):
            raise UsageError(
                f"Signature {name!r}: the model does not know the shape and dtype of its inputs",
                hint=spec_hint(
                    name, [replace(spec, dtype=dtypes.get(spec.name, spec.dtype)) for spec in self._asked()]
                ),
            )
        if specs is None or (self.own.inputs is not None and not takes_keywords(self._parameters, list(specs))):
            return bind_own(name, self.own, signature, dtypes)
        call = self._by_parameter(name, specs)
        return BoundSignature.of(name, specs, METHODS[signature.method], call, signature.outputs)

    def _asked(self) -> list[TensorSpec]:
        """Return the inputs to ask for if several have to be given, with the shape that Keras recorded of the first."""
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        required = [p.name for p in self._parameters if p.default is p.empty and p.kind not in variadic]
        shape = first_shape(self._model) or (None,)
        return [free_batch(TensorSpec(name, "float32", shape)) for name in required] if len(required) > 1 else []

    def _of_graph(self, model: Any, graph: Any) -> OwnCall:
        inputs = _graph_inputs(model, leaves(graph.input))
        return OwnCall.of(self._call, (fill(graph.input, iter(inputs)),), {}, outputs=_output_names(graph))

    def _of_record(self, model: Any) -> OwnCall:
        named = [p for p in self._parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        recorded = recorded_arguments(model, [p.name for p in named])
        # Keras fills in a mask that the caller leaves out.
        if recorded is None or any(p.default is p.empty and p.name not in {*recorded, "mask"} for p in named):
            return OwnCall(self._call, None)
        first, *rest = recorded
        keywords = {key: _record_inputs(model, key, recorded[key], (key,)) for key in rest}
        return OwnCall.of(self._call, (_record_inputs(model, first, recorded[first], (0,)),), keywords)

    def _by_parameter(self, name: str, specs: Mapping[str, TensorSpec]) -> NamedCall:
        """Return the call with inputs passed as the parameters of the model's ``call`` are named."""
        names = list(specs)
        call = pass_inputs(name, self._call, names, self._parameters)
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        required = [p for p in self._parameters if p.default is p.empty and p.kind not in variadic]
        if len(names) == 1 or len(required) != 1 or takes_keywords(self._parameters, names):
            return call

        # Several inputs in one argument of a model that was never called: a dict or a list, whichever it takes.
        def call_with_list(tensors: Mapping[str, Any]) -> Any:
            return self._call([tensors[key] for key in names])

        problem = _problem(call, specs)
        if problem is None:
            return call
        if _problem(call_with_list, specs) is None:
            return call_with_list
        raise UsageError(
            f"Signature {name!r}: the model takes neither a dict nor a list of {', '.join(names)}: {problem}",
            hint="call the model once before the export, so that it knows its inputs",
        )


def _trains_on_purpose(graph: Any) -> bool:
    """Return whether a layer of a functional model was called with ``training=True``, such as dropout that is to stay.

    Such a layer would be overruled by ``training=False`` for the whole model.
    """
    operations = (getattr(graph, "operations", None) or getattr(graph, "layers", None) or ()) if graph else ()
    return any(_told_to_train(each) or _trains_on_purpose(_functional(each)) for each in operations)


def _told_to_train(layer: Any) -> bool:
    if any(p.name == "training" and p.default is True for p in parameters_of(layer.call) or ()):
        return False  # its own default, as of random flips
    keywords = (
        node.arguments.kwargs if hasattr(node, "arguments") else getattr(node, "call_kwargs", {})
        for node in getattr(layer, "_inbound_nodes", ())
    )
    return any(each.get("training") is True for each in keywords)


def _inference(model: Any) -> Callable[..., Any]:
    """Return the call as ``model.predict`` makes it: layers that are random in training, such as flips, are not."""
    return lambda *arguments, **keywords: model(*arguments, **keywords, training=False)


def _problem(call: NamedCall, specs: Mapping[str, TensorSpec]) -> str | None:
    """Return why a call cannot be traced; ``None`` if it can, and its results depend on the inputs."""
    import tensorflow as tf

    names = list(specs)
    function = tf.function(lambda *tensors: call(dict(zip(names, tensors, strict=True))), autograph=False)
    try:
        concrete = function.get_concrete_function(*[tf_spec(specs[name]) for name in names])
    except Exception as error:  # noqa: BLE001 - the model's code may raise anything; the caller reports it
        return first_line(error)
    # A dict that is unpacked gives its keys: text, from which some operations compute something, too.
    used = any(tensor.consumers() for tensor in concrete.inputs[: len(names)])
    return None if used else "its results do not depend on them"


def _functional(model: Any) -> Any:
    """Return the Functional graph of a model: itself, or what a built Sequential wraps; ``None`` for others."""
    graph = getattr(model, "_functional", None) or model
    is_graph = any(cls.__name__ == "Functional" for cls in type(graph).__mro__)
    return graph if is_graph and getattr(graph, "inputs", None) else None


def _graph_inputs(model: Any, found: list[tuple[NestPath, Any]]) -> list[OwnInput]:
    """Return the inputs of a graph, called by the keys that lead to them in dicts, else by their tensors' names.

    Their batch dimension is free unless the model's author fixed it on an Input: a Sequential without an Input keeps
    the size of its first batch, which is never intended.
    """
    sequential = any(cls.__name__ == "Sequential" for cls in type(model).__mro__)
    keys = ["_".join(step for step in path if isinstance(step, str)) for path, _ in found]
    inputs = []
    for (path, tensor), key in zip(found, keys, strict=True):
        name = key if key and keys.count(key) == 1 else tensor.name
        spec = as_spec(name, tensor)
        inputs.append(OwnInput(Place((0, *path), name, (tensor.name,)), free_batch(spec) if sequential else spec))
    return inputs


def _output_names(graph: Any) -> dict[NestPath, str]:
    """Return the names of the outputs by their paths: the keys in dicts, else those of their layers."""
    paths = [path for path, _ in leaves(graph.output)]
    return {
        path: "_".join(map(str, path)) if path and all(isinstance(step, str) for step in path) else str(layer)
        for path, layer in zip(paths, graph.output_names, strict=True)
    }


def _record_inputs(model: Any, parameter: str, nest: Any, root: NestPath) -> Any:
    """Return what was recorded of one argument as inputs, called by the parameter, or by their keys in dicts."""
    inputs: list[Any] = []
    for path, leaf in leaves(nest):
        if not isinstance(leaf, Recorded):
            inputs.append(leaf)
            continue
        keys = "_".join(map(str, path)) if all(isinstance(step, str) for step in path) else ""
        dtype = leaf.dtype or str(getattr(model, "input_dtype", None) or "float32")
        place = Place((*root, *path), keys if path else parameter, (path_text((parameter, *path)),))
        spec = free_batch(as_spec(parameter, (dtype, leaf.shape)))
        inputs.append(OwnInput(place, spec, guessed=leaf.dtype is None))
    return fill(nest, iter(inputs))
