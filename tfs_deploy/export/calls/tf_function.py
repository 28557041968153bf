# SPDX-License-Identifier: Apache-2.0
"""The own calls of ``tf.function``s and of concrete functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.calls.own_call import OwnCall, OwnInput
from tfs_deploy.export.signatures.arguments import parameters_of
from tfs_deploy.export.signatures.bound_signature import first_line
from tfs_deploy.export.signatures.nest import NestPath, fill, leaves, path_text
from tfs_deploy.export.signatures.pairing import Place
from tfs_deploy.export.signatures.specs import as_spec


def own_call_of(function: Any) -> OwnCall | None:
    """Return the call of a ``tf.function`` with an input signature or of a concrete function, ``None`` for any other.

    Arguments that are bound to Python values, such as ``training=False``, are passed as they are bound.

    Raises:
        UsageError: an input is ragged or sparse, or the function cannot be traced.
    """
    import tensorflow as tf

    concrete = concrete_of(function)
    if concrete is None:
        return None
    arguments, keywords = concrete.structured_input_signature
    parameters = _parameter_names(function, len(arguments))
    every = [*leaves(arguments), *leaves(keywords)]
    found = [(path, leaf) for path, leaf in every if isinstance(leaf, tf.TypeSpec)]
    names = _names([(path, _as_written(concrete, spec)) for path, spec in found], parameters)
    defaults = default_tensors(function)
    inputs = {}
    for (path, spec), name in zip(found, names, strict=True):
        argument = str(parameters[path[0]]) if isinstance(path[0], int) and parameters else str(path[0])
        own = as_spec(name or argument, spec)
        others = (path_text((argument, *path[1:])), str(path[-1]))
        default = defaults.get(argument) if len(path) == 1 else None
        inputs[path] = OwnInput(Place(path, name, others), own, default=default)
    return OwnCall.of(function, _with(arguments, inputs), _with(keywords, inputs), parameters=parameters)


def concrete_of(function: Any) -> Any:
    """Return the concrete function of a function that fixes its inputs, ``None`` for any other.

    Raises:
        UsageError: it cannot be traced with its input signature.
    """
    import tensorflow as tf

    if isinstance(function, tf.types.experimental.ConcreteFunction):
        return function
    if isinstance(function, tf.types.experimental.GenericFunction) and function.input_signature is not None:
        try:
            return function.get_concrete_function()
        except Exception as error:
            name = getattr(function, "__name__", "the function")
            raise UsageError(
                f"the tf.function {name} cannot be traced with its input_signature: {first_line(error)}",
                hint="give every argument a tf.TensorSpec or a default",
            ) from error
    return None


def composite_inputs(function: Any) -> list[str] | None:
    """List the kinds of inputs that are not plain tensors (``RaggedTensorSpec``); ``None`` if none is fixed."""
    import tensorflow as tf

    concrete = concrete_of(function)
    if concrete is None:
        return None
    return [
        type(leaf).__name__
        for _, leaf in leaves(concrete.structured_input_signature)
        if isinstance(leaf, tf.TypeSpec) and not isinstance(leaf, tf.TensorSpec)
    ]


def default_tensors(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the values of the parameters whose default is a tensor, as ``tf.saved_model.save`` keeps them."""
    import tensorflow as tf

    return {
        parameter.name: parameter.default.numpy()
        for parameter in parameters_of(function) or ()
        if isinstance(parameter.default, tf.Tensor)
    }


def _as_written(concrete: Any, spec: Any) -> str:
    """Return the name of an input as it is saved; TensorFlow writes the specs of unnamed arguments in lower case."""
    name = str(getattr(spec, "name", None) or "")
    keywords = list(getattr(concrete, "_arg_keywords", None) or ())
    near = [keyword for keyword in keywords if keyword.lower() == name.lower()]
    return name if name in keywords or len(near) != 1 else str(near[0])


def _with(nest: Any, inputs: Mapping[NestPath, OwnInput]) -> Any:
    return fill(nest, iter([inputs.get(path, leaf) for path, leaf in leaves(nest)]))


def _parameter_names(function: Any, count: int) -> list[str]:
    """Return the names of the positional arguments, empty if they cannot be passed by name."""
    found = parameters_of(function) or []
    if any(p.kind in (p.VAR_POSITIONAL, p.POSITIONAL_ONLY) for p in found[:count]):
        return []
    return [p.name for p in found[:count] if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]


def _names(specs: list[tuple[NestPath, str]], parameters: list[str]) -> list[str]:
    """Return the name of each input: that of its spec.

    If the specs are named as the parameters, but in another order, TensorFlow passes by parameter. A spec that has the
    name of one other parameter is refused, as it could mean either.
    """
    by_parameter: dict[NestPath, str] = {
        path: parameters[path[0]] for path, _ in specs if parameters and len(path) == 1 and isinstance(path[0], int)
    }
    named = [name for _, name in specs]
    crossed = [
        name for path, name in specs if name in by_parameter.values() and name != by_parameter.get(path, str(path[0]))
    ]
    if not crossed:
        return named
    if sorted(named) == sorted(by_parameter.values()):
        return [by_parameter[path] for path, _ in specs]
    raise UsageError(
        f"the tf.TensorSpec of one argument is named {crossed[0]!r}, and another argument is called {crossed[0]!r}",
        hint="name the specs of the input_signature as the arguments",
    )
