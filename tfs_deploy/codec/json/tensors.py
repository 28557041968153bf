# SPDX-License-Identifier: Apache-2.0
"""JSON values to arrays one by one, with the server's checks and texts (util/json_tensor.cc)."""

from __future__ import annotations

import base64
import binascii
import contextlib
import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.json.text import RepeatedMembers, members, print_json
from tfs_deploy.errors import InvalidArgumentError, StatusError, UnimplementedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.protos.signatures import TensorSpec

Array = np.ndarray[Any, Any]

#: how the server names dtypes
TYPE_NAMES: Final = {"float32": "float", "float64": "double", "float16": "half"}
_INT32: Final = (-(2**31), 2**31 - 1)
_INTEGERS: Final = {
    **dict.fromkeys(("int8", "int16", "int32", "uint8"), _INT32),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]*")
#: characters that are decoded in one call; a multiple of four
_BLOCK: Final = 1 << 20
_KINDS: Final = {
    bool: "",
    type(None): "Null",
    dict: "Object",
    RepeatedMembers: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}


def kind_name(value: Any) -> str:
    """Name a JSON value's type."""
    return str(value) if isinstance(value, bool) else _KINDS[type(value)]


def is_base64(value: Any) -> bool:
    """Tell whether a value is ``{"b64": "..."}`` and nothing else."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and isinstance(value.get("b64"), str)
        and not isinstance(value, RepeatedMembers)
    )


def decode_base64(text: str) -> bytes:
    """Decode base64 with or without padding; raises ``InvalidArgumentError`` with the server's text."""
    data = "".join(text.split()).encode("utf-8", "surrogateescape")
    body = data[-4:].rstrip(b"=")
    with contextlib.suppress(binascii.Error):
        end = data[:-4] + body
        blocks = [end[at : at + _BLOCK] for at in range(0, len(end), _BLOCK)]
        if len(data) - len(end) < 3 and all(_BASE64.fullmatch(block) for block in blocks):
            # block by block: no other thread runs while one is decoded
            return b"".join(base64.b64decode(block + b"=" * (-len(block) % 4), validate=True) for block in blocks)
    raise InvalidArgumentError("Unable to base64 decode")


def _type_error(value: Any, dtype: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"JSON Value: {print_json(value)} Type: {kind_name(value)} is not of expected type: "
        f"{TYPE_NAMES.get(dtype, dtype)}"
    )


def _read_float(value: Any, dtype: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _type_error(value, dtype)
    return float(value)


def _read_integer(value: Any, dtype: str) -> int:
    lowest, highest = _INTEGERS[dtype]
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise _type_error(value, dtype)
    return value


def _read_bool(value: Any, dtype: str) -> bool:
    if not isinstance(value, bool):
        raise _type_error(value, dtype)
    return value


def _read_string(value: Any, dtype: str) -> bytes:
    if isinstance(value, dict):
        if not is_base64(value):
            raise InvalidArgumentError(f"JSON Value: {print_json(value)} not formatted correctly for base64 data")
        return decode_base64(value["b64"])
    if not isinstance(value, str):
        raise _type_error(value, dtype)
    return value.encode("utf-8", "surrogateescape")


def _refuse(value: Any, dtype: str) -> Any:
    if isinstance(value, dict):
        raise _type_error(value, dtype)
    raise UnimplementedError(f"Conversion of JSON Value: {print_json(value)} to type: {TYPE_NAMES.get(dtype, dtype)}")


def _reader(dtype: str) -> Callable[[Any, str], Any]:
    if dtype in ("float32", "float64"):
        return _read_float
    if dtype in _INTEGERS:
        return _read_integer
    return {"bool": _read_bool, "string": _read_string}.get(dtype, _refuse)


def dense_shape(value: Any) -> tuple[int, ...]:
    """Return the shape that the first elements of nested lists have."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    return tuple(shape)


def _fill(value: Any, level: int, shape: tuple[int, ...], dtype: str, out: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise InvalidArgumentError(
                f"JSON Value: {print_json(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        out.append(_reader(dtype)(value, dtype))
        return
    if level >= len(shape):
        raise InvalidArgumentError(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise InvalidArgumentError(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _fill(item, level + 1, shape, dtype, out)


def _tensor(name: str, values: list[Any], shape: tuple[int, ...], dtype: str) -> Array:
    try:
        return _array(values, shape, dtype)
    except ValueError as error:
        # numpy knows 64 dimensions, the server 254, with this text beyond
        raise InvalidArgumentError(f"tensor parsing error: {name}") from error


def _array(values: list[Any], shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "string":
        strings = np.empty(len(values), object)
        strings[:] = values
        return strings.reshape(shape)
    if dtype in _INTEGERS:
        # the server keeps these as 32-bit values and lets them wrap
        wide = np.array(values, np.uint64 if dtype == "uint64" else np.int64)
        return wide.astype(dtype).reshape(shape)
    if dtype in ("float32", "float64"):
        return to_float(np.array(values, np.float64), dtype).reshape(shape)
    return np.array(values, dtype).reshape(shape)


def to_float(values: Array, dtype: str) -> Array:
    """Convert numbers as the server's threads do: too large ones are infinite, subnormal ones zero."""
    with np.errstate(over="ignore"):
        out: Array = values.astype(dtype)
    tiny = np.abs(out) < np.finfo(dtype).smallest_normal
    if tiny.any():
        out[tiny] = np.copysign(0, out[tiny])
    return out


def fill_columns(inputs: Any, specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Read ``inputs``: one value for the only input, or an object with one for each."""
    if isinstance(inputs, dict) and not is_base64(inputs):
        columns = {}
        for name, spec in specs.items():
            if name not in inputs:
                raise InvalidArgumentError(f"Missing named input: {name} in 'inputs' object.")
            columns[name] = _column(name, inputs[name], spec)
        return columns
    if len(specs) > 1:
        raise InvalidArgumentError(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    ((name, spec),) = specs.items()
    return {name: _column(name, inputs, spec)}


def _column(name: str, value: Any, spec: TensorSpec) -> Array:
    shape = dense_shape(value)
    values: list[Any] = []
    _fill(value, 0, shape, spec.dtype, values)
    return _tensor(name, values, shape, spec.dtype)


class _Rows:
    """Collects the values of each input over the rows; all rows must have the shape of the first."""

    def __init__(self, specs: Mapping[str, TensorSpec]) -> None:
        self._specs = specs
        self._values: dict[str, list[Any]] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def add(self, name: str, item: Any) -> None:
        if name not in self._specs:
            raise InvalidArgumentError(f"JSON object: does not have named input: {name}")
        shape = dense_shape(item)
        values: list[Any] = []
        _fill(item, 0, shape, self._specs[name].dtype, values)
        expected = self._shapes.setdefault(name, shape)
        if math.prod(expected) != len(values):
            raise InvalidArgumentError(f"Expecting tensor size: {math.prod(expected)} but got: {len(values)}")
        if expected != shape:
            raise InvalidArgumentError(f"Expecting shape {_shape_text(expected)} but got: {_shape_text(shape)}")
        self._values.setdefault(name, []).extend(values)

    def arrays(self, count: int) -> dict[str, Array]:
        found = {}
        for name, values in self._values.items():
            shape = (count, *self._shapes[name])
            # a name that a row has twice leaves values over
            found[name] = _tensor(name, values[: math.prod(shape)], shape, self._specs[name].dtype)
        return found


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def fill_rows(rows: list[Any], specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    """Read ``instances``: objects with a value for each input, or plain values for the only one."""
    if not isinstance(rows[0], dict) and len(specs) > 1:
        raise InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = isinstance(rows[0], dict) and not is_base64(rows[0])
    collected = _Rows(specs)
    for index, row in enumerate(rows):
        is_object = isinstance(row, dict) and not is_base64(row)
        if named:
            if not is_object:
                raise InvalidArgumentError(f"Expecting object but got list at item {index} of input list")
            _add_object(collected, row, specs, index)
        else:
            if is_object:
                raise InvalidArgumentError(f"Expecting value/list but got object at item {index} of input list")
            with _Element(f"element: {index}"):
                collected.add(next(iter(specs)), row)
    return collected.arrays(len(rows))


def _add_object(collected: _Rows, row: dict[str, Any], specs: Mapping[str, TensorSpec], index: int) -> None:
    names = set()
    for whole, value in members(row):
        # the server takes names as C strings
        name = whole.partition("\0")[0]
        names.add(name)
        with _Element(f"element: {index} key: {name}"):
            collected.add(name, value)
    if names != specs.keys():
        raise InvalidArgumentError(
            f"Failed to process element: {index} of 'instances' list. JSON object: {print_json(row)} keys must be "
            f"equal to: {','.join(sorted(specs))}"
        )


class _Element:
    """Says in which element an error occurred."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, StatusError):
            raise InvalidArgumentError(
                f"Failed to process {self._where} of 'instances' list. Error: {error.code.name}: {error.message}"
            ) from None
