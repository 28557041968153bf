# SPDX-License-Identifier: Apache-2.0
"""The check of inputs against the signature before anything is sent: names, dtypes and shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec import dtype_number, numpy_dtype
from tfs_deploy.codec.arrays import is_python_value, wide_array
from tfs_deploy.codec.dtypes import wire_dtype
from tfs_deploy.codec.quantized import quantized
from tfs_deploy.errors import RequestError
from tfs_deploy.protos.signatures import DTYPE_NAMES, SignatureInfo, TensorSpec
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

_KINDS = {"b": "bool", "i": "integers", "u": "integers", "f": "floats", "c": "complex numbers", "O": "strings"}


def check_inputs(signature: SignatureInfo, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Return the inputs as arrays of the declared dtypes; integers for a quantized input in its wire form.

    Python numbers, lists and text take the declared dtype if every value fits; arrays must have it.

    Raises:
        RequestError: an unknown or missing name, or a wrong dtype or shape; it names what is expected and given.
    """
    _check_names(signature, inputs)
    return {name: _check_input(signature.inputs[name], value) for name, value in inputs.items()}


def find_signature(signatures: Mapping[str, SignatureInfo], name: str, model: str) -> SignatureInfo:
    """Return a signature, or raise a ``RequestError`` that lists the existing ones."""
    try:
        return signatures[name]
    except KeyError:
        known = ", ".join(signatures) or "none"
        raise RequestError(
            f"{model} has no signature {name}; it has: {known}", hint=suggestion(name, signatures, "signature")
        ) from None


def check_output_filter(signature: SignatureInfo, names: Iterable[str]) -> None:
    """Raise a ``RequestError`` for an output that the signature does not have, or that is named twice."""
    seen = set()
    for name in names:
        if name not in signature.outputs:
            known = ", ".join(signature.outputs)
            raise RequestError(
                f"signature {signature.name} has no output {name}; it has: {known}",
                hint=suggestion(name, signature.outputs, "output"),
            )
        if name in seen:
            raise RequestError(f"output {name} is asked for twice", hint="name each output once in output_filter")
        seen.add(name)


def suggestion(name: str, known: Iterable[str], what: str) -> str:
    """Return a hint with the most similar known name, or with the first names if none is similar."""
    names = list(known)
    near = closest(name, names, cutoff=0.5)
    if near is not None:
        return f"did you mean {what} {near}?"
    if not names:
        return f"leave it out: there is no {what}"
    return f"use {what} {names[0]}" if len(names) == 1 else f"use one of: {', '.join(sorted(names)[:8])}"


def _check_names(signature: SignatureInfo, inputs: Mapping[str, Any]) -> None:
    for name in inputs:
        if name not in signature.inputs:
            known = ", ".join(signature.inputs) or "none"
            missing = [key for key in signature.inputs if key not in inputs]
            raise RequestError(
                f"signature {signature.name} has no input {name}; it has: {known}",
                hint=suggestion(name, missing or signature.inputs, "input"),
            )
    missing = [key for key in signature.inputs if key not in inputs and key not in signature.defaults]
    if missing:
        specs = ", ".join(f"{key} ({signature.inputs[key]})" for key in missing)
        raise RequestError(
            f"signature {signature.name} needs the input {specs}", hint=f"add {missing[0]} to the inputs"
        )


def _check_input(spec: TensorSpec, value: Any) -> NDArray[Any]:
    if type(value) is np.ndarray:
        array = value
    elif is_python_value(value):
        array = convert(spec, value)
    elif isinstance(value, range):
        array = convert(spec, list(value))
    else:
        array = np.asarray(value)
        if array.dtype.kind == "O" and not hasattr(value, "__array__"):
            raise RequestError(
                f"input {spec.name} expects {spec}, got a value of type {type(value).__name__}",
                hint="give an array, a number, text, or a list of these",
            )
    expected = wire_dtype(spec.dtype)
    if array.dtype != expected:
        array = quantized(array, spec.dtype)
    if array.dtype != expected and not _same_type(array.dtype, expected):
        hint = _cast_hint(spec, array, numpy_dtype(spec.dtype))
        raise RequestError(f"input {spec.name} expects {spec}, got {_describe(array)}", hint=hint)
    problem = shape_problem(spec, array)
    if problem is not None:
        raise RequestError(problem, hint=_shape_hint(spec, array))
    return array


def shape_problem(spec: TensorSpec, array: NDArray[Any]) -> str | None:
    """Return what is wrong with the shape of an input, None if the signature allows it."""
    if fits(array.shape, spec.shape) or _lacks_only_ones(array.shape, spec.shape):
        return None
    return f"input {spec.name} expects {spec}, got {_describe(array)}"


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...] | None) -> bool:
    """Return whether a signature allows a shape."""
    if expected is None:
        return True
    if len(shape) != len(expected):
        return False
    for have, want in zip(shape, expected):  # noqa: B905, SIM110 - same length, and this runs for every call
        if have != want and want is not None:
            return False
    return True


def _lacks_only_ones(shape: tuple[int, ...], expected: tuple[int | None, ...] | None) -> bool:
    """Return whether only trailing dimensions of size 1 are missing, such as [3] for [?, 1].

    Old signatures declare [?, 1] for placeholders that accept both. The server does not compare shapes with the
    signature, so the graph decides.
    """
    if not shape or expected is None or len(shape) >= len(expected):
        return False
    return fits(shape, expected[: len(shape)]) and all(size == 1 for size in expected[len(shape) :])


def _wide(spec: TensorSpec, value: Any) -> NDArray[Any]:
    try:
        return wide_array(value)
    except RequestError as error:
        raise RequestError(f"input {spec.name}: {error.message}", hint=error.hint) from error


def convert(spec: TensorSpec, value: Any) -> NDArray[Any]:
    """Return Python values as an array of the declared dtype; ``RequestError`` if that would change a value."""
    wide = _wide(spec, value)
    expected = numpy_dtype(spec.dtype)
    if wide.dtype == expected or not wide.size:
        return wide if wide.dtype == expected else wide.astype(expected)
    if not _kind_fits(wide.dtype.kind, expected):
        kind = _kind(wide)
        raise RequestError(f"input {spec.name} expects {spec}, got {kind}", hint=f"give {spec.dtype} values")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = wide.astype(expected)
    lost = converted != wide if wide.dtype.kind in "iu" and expected.kind in "iu" else _overflowed(converted, wide)
    if np.any(lost):
        first = wide[lost].flat[0]
        raise RequestError(f"input {spec.name}: {first} does not fit {spec.dtype}", hint=f"{spec.name} expects {spec}")
    return converted


def _kind(wide: NDArray[Any]) -> str:
    """Return what kind of values these are; if numpy found no dtype for them, name the value that prevents it."""
    values = list(wide.flat) if wide.dtype.kind == "O" else []
    for value in values:
        if not isinstance(value, (str, bytes, int, float, complex)):
            return f"a {type(value).__name__} among them"
    if any(isinstance(value, int) and value.bit_length() > 64 for value in values):
        return "an integer beyond 64 bits among them"
    return _KINDS.get(wide.dtype.kind, str(wide.dtype))


def _kind_fits(kind: str, expected: np.dtype[Any]) -> bool:
    if expected.kind in "iu":
        return kind in "iu"
    if expected.kind == "c":
        return kind in "iufc"
    if expected.kind in "fV":
        return kind in "iuf"
    return kind == expected.kind


def _overflowed(converted: NDArray[Any], wide: NDArray[Any]) -> NDArray[np.bool_]:
    if wide.dtype.kind == "O" or converted.dtype.kind in "iub":
        return np.zeros(converted.shape, np.bool_)
    finite = np.isfinite(converted.astype(np.complex128))
    return np.asarray(np.isfinite(wide) & ~finite, np.bool_)


def _same_type(given: np.dtype[Any], expected: np.dtype[Any]) -> bool:
    """Return whether two dtypes are the same to the server: byte order and kind of text do not matter."""
    return given.newbyteorder("=") == expected or (expected.kind == "O" and given.kind in "SUT")


def _describe(array: NDArray[Any]) -> str:
    name = "string" if array.dtype.kind in "OSUT" else (array.dtype.names or [array.dtype.name])[0]
    return f"{name} {list(array.shape)}"


def _cast_hint(spec: TensorSpec, array: NDArray[Any], expected: np.dtype[Any]) -> str:
    if expected.kind == "O":
        return f"give {spec.name} as text or bytes"
    if array.dtype.kind in "OSUT":
        return f"convert the text to numbers: .astype({_dtype_text(expected)})"
    return f"convert it with .astype({_dtype_text(expected)})"


def _dtype_text(dtype: np.dtype[Any]) -> str:
    return (
        f"{'np' if dtype.isbuiltin == 1 else 'ml_dtypes'}.{DTYPE_NAMES[dtype_number(dtype)].replace('bool', 'bool_')}"
    )


def _shape_hint(spec: TensorSpec, array: NDArray[Any]) -> str:
    shape = spec.shape or ()
    if shape and shape[0] in (None, 1) and fits(array.shape, shape[1:]):
        return f"add the batch dimension: {spec.name}[np.newaxis]"
    if array.ndim and array.shape[0] == 1 and fits(array.shape[1:], shape):
        return f"drop the batch dimension: {spec.name}[0]"
    if None not in shape[1:] and shape and shape[0] is None and array.size and not array.size % max(1, _product(shape)):
        sizes = ", ".join(str(size) for size in shape[1:])
        return f"if the values are in this order: {spec.name}.reshape({f'-1, {sizes}' if sizes else '-1'})"
    if shape and shape[0] is None:
        return f"give {spec.name} in the shape {_text(('n', *shape[1:]))}, n examples at once"
    return f"give {spec.name} in the shape {_text(shape)}"


def _text(shape: tuple[int | str | None, ...]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _product(shape: tuple[int | None, ...]) -> int:
    product = 1
    for size in shape:
        product *= size or 1
    return product
