# SPDX-License-Identifier: Apache-2.0
"""Keras models: their own inputs and outputs, and the call that is served."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.calls.functions import bind_all, bind_function, method_of
from tfs_deploy.export.calls.keras_call import KerasCall
from tfs_deploy.export.calls.own_call import pair_inputs
from tfs_deploy.export.calls.tf_function import concrete_of
from tfs_deploy.export.signatures.names import naming_hint
from tfs_deploy.export.signatures.signature import Signature
from tfs_deploy.export.sources.keras_file import load_keras_file
from tfs_deploy.export.sources.source import TracedSource
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.sources.source import Dtypes

logger = logging.getLogger(__name__)
_OWN = frozenset({"__call__", "call"})
#: methods that take and return numpy arrays
_LOOPS = frozenset({"predict", "predict_on_batch", "fit", "evaluate"})


def open_keras(source: Any, signatures: Mapping[str, Signature] | None, dtypes: Dtypes) -> TracedSource:
    """Open a Keras model, or the file of one."""
    model = load_keras_file(source) if isinstance(source, (str, os.PathLike)) else source
    if not is_keras(model):
        raise UsageError(
            f"a {type(model).__name__} is not a Keras model", hint="leave the kind out to have it detected"
        )
    return TracedSource(bind_keras(model, signatures, dtypes))


def bind_keras(model: Any, signatures: Mapping[str, Signature] | None, dtypes: Dtypes) -> list[BoundSignature]:
    """Bind signatures to a Keras model; without any, ``serving_default`` with the names of its inputs and outputs."""
    _check_backend(model)
    keras_call = KerasCall(model)

    def bind(name: str, signature: Signature) -> BoundSignature:
        return _bind(name, model, keras_call, signature, dtypes.get(name, {}))

    return bind_all(bind, signatures or {DEFAULT_SIGNATURE: Signature()})


def _bind(
    name: str, model: Any, keras_call: KerasCall, signature: Signature, dtypes: Mapping[str, str]
) -> BoundSignature:
    function = signature.function
    if isinstance(function, str) and function in _LOOPS:
        raise UsageError(
            f"Signature {name!r}: {function!r} works on numpy arrays and cannot go into a graph",
            hint="leave the function out: the model itself is called",
        )
    if function is None or function is model or (isinstance(function, str) and function in _OWN):
        if signature.outputs is None:
            _check_own_outputs(name, list((keras_call.own.outputs or {}).values()))
        return keras_call.bind(name, signature, dtypes)
    if isinstance(function, str):
        function = method_of(name, model, function)
    elif is_keras(function):
        return KerasCall(function).bind(name, signature, dtypes)
    if isinstance(signature.inputs, Mapping) or concrete_of(function) is not None:
        return bind_function(name, function, signature)
    # A function beside the model takes what the model takes.
    paired = pair_inputs(name, keras_call.own.inputs, signature.inputs, dtypes)
    return replace(bind_function(name, function, replace(signature, inputs=paired.specs)), guessed=paired.guessed)


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


def _check_own_outputs(name: str, outputs: list[str]) -> None:
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
