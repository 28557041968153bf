# SPDX-License-Identifier: Apache-2.0
"""Python functions as models, for tests: no SavedModel and no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfs_deploy import protos
from tfs_deploy.codec.arrays import as_array
from tfs_deploy.codec.dtypes import dtype_number, numpy_dtype
from tfs_deploy.codec.json.tensors import TYPE_NAMES
from tfs_deploy.codec.quantized import integers, quantized
from tfs_deploy.errors import InvalidArgumentError, StatusError, UnknownError, UsageError
from tfs_deploy.protos.signatures import (
    DEFAULT_SIGNATURE,
    DTYPE_NUMBERS,
    PREDICT_METHOD,
    SignatureInfo,
    TensorSpec,
    dtype_name,
    signature_infos,
)

Array = np.ndarray[Any, Any]
Function = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class FunctionModel:
    """A model made of functions: signature name -> function and its specs.

    Each function is called with one array per input, by name, and returns its outputs by name. It may raise any
    ``StatusError`` to be answered with it.
    """

    functions: Mapping[str, Function]
    signature_defs: Mapping[str, Any]
    signatures: Mapping[str, SignatureInfo] = field(default_factory=dict)

    def compute(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout: float | None = None
    ) -> list[Array]:
        """Call the function that the tensors belong to; return its outputs in the order of ``fetches``."""
        del timeout
        name = (fetches or list(feeds))[0].partition("/")[0]
        info = self.signatures[name]
        arguments = {tensor.split("/")[2].removesuffix(":0"): array for tensor, array in feeds.items()}
        for position, (input_name, spec) in enumerate(info.inputs.items()):
            _check_dtype(position, arguments[input_name], spec)
        outputs = self._call(name, {key: integers(array) for key, array in arguments.items()})
        return [_output(outputs, tensor.split("/")[2].removesuffix(":0"), info) for tensor in fetches]

    def _call(self, name: str, arguments: dict[str, Array]) -> Mapping[str, Any]:
        try:
            return self.functions[name](**arguments)
        except StatusError:
            raise
        except Exception as error:
            raise UnknownError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Do nothing: a function holds no memory."""


def function_model(
    function: Function | None = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    signatures: Mapping[str, tuple[Function, Mapping[str, Any], Mapping[str, Any]]] | None = None,
) -> FunctionModel:
    """Return a model made of a function, or of several.

    Args:
        function: of the signature ``serving_default``.
        inputs: name -> dtype (``"float32"``, shape ``[?]``), ``(dtype, shape)``, or a ``TensorSpec``.
        outputs: likewise.
        signatures: signature name -> (function, inputs, outputs), beside or instead of the default.

    Raises:
        UsageError: no function is given, or a spec is not valid.
    """
    given = dict(signatures or {})
    if function is not None:
        given[DEFAULT_SIGNATURE] = (function, inputs or {}, outputs or {})
    if not given:
        raise UsageError("a function model needs a function", hint="function_model(f, inputs={...}, outputs={...})")
    definitions = {name: _definition(name, ins, outs) for name, (_, ins, outs) in given.items()}
    return FunctionModel({name: each[0] for name, each in given.items()}, definitions, signature_infos(definitions))


def fixed_model(outputs: Mapping[str, Any], *, inputs: Mapping[str, Any]) -> FunctionModel:
    """Return a model that gives the same answer to every example.

    Args:
        outputs: name -> the output for one example (array, number, text, or a list); a reply repeats it for each
            example of its request.
        inputs: as for ``function_model``; the first dimension of the first one counts the examples.

    Raises:
        UsageError: a spec is not valid, or there are no inputs.
    """
    if not inputs:
        raise UsageError("a fixed model needs an input", hint='fixed_model({...}, inputs={"x": "float32"})')
    rows = {name: as_array(value) for name, value in outputs.items()}

    def answer(**arguments: Array) -> dict[str, Any]:
        first = arguments[next(iter(inputs))]
        shape = first.shape[:1]
        return {name: np.broadcast_to(row, (*shape, *row.shape)) for name, row in rows.items()}

    specs = {name: (dtype_name(dtype_number(row.dtype)), (None, *row.shape)) for name, row in rows.items()}
    return function_model(answer, inputs=inputs, outputs=specs)


def _definition(signature: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Any:
    definition = protos.SignatureDef(method_name=PREDICT_METHOD)
    for side, specs in (("inputs", inputs), ("outputs", outputs)):
        for name, given in specs.items():
            dtype, shape = _dtype_and_shape(name, given)
            info = getattr(definition, side)[name]
            info.name = f"{signature}/{side}/{name}:0"
            info.dtype = DTYPE_NUMBERS[dtype]
            if shape is None:
                info.tensor_shape.unknown_rank = True
            else:
                info.tensor_shape.SetInParent()
                for size in shape:
                    info.tensor_shape.dim.add(size=-1 if size is None else size)
    return definition


def _dtype_and_shape(name: str, given: Any) -> tuple[str, tuple[int | None, ...] | None]:
    if isinstance(given, TensorSpec):
        return given.dtype, given.shape
    dtype, shape = given if isinstance(given, tuple) else (given, (None,))
    if dtype not in DTYPE_NUMBERS:
        raise UsageError(f"unknown dtype {dtype!r} of {name}", hint=f"dtypes: {', '.join(DTYPE_NUMBERS)}")
    return dtype, None if shape is None else tuple(shape)


def _check_dtype(position: int, array: Array, spec: TensorSpec) -> None:
    found = dtype_name(dtype_number(array.dtype))
    if found != spec.dtype:
        names = (TYPE_NAMES.get(name, name) for name in (spec.dtype, found))
        raise InvalidArgumentError("Expects arg[{}] to be {} but {} is provided".format(position, *names))


def _output(outputs: Mapping[str, Any], name: str, info: SignatureInfo) -> Array:
    if name not in outputs:
        raise UnknownError(f"the function did not return {name!r}, only {', '.join(outputs) or 'nothing'}")
    array = as_array(outputs[name])
    dtype = info.outputs[name].dtype
    wanted = numpy_dtype(dtype)
    return quantized(array if array.dtype == wanted or wanted.kind == "O" else array.astype(wanted), dtype)
