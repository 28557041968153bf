# SPDX-License-Identifier: Apache-2.0
"""TensorProto bytes to arrays: one scan, then views on the buffer wherever its bytes are the array's memory.

The rules are those of ``Tensor::FromProto`` (tensorflow/core/framework/tensor.cc): ``tensor_content`` wins over the
``*_val`` fields; fewer values than elements repeat the last one; no values are zeros or empty strings; more values
than elements are ignored; an unknown rank counts as a scalar.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.dtypes import DT_BFLOAT16, DT_BOOL, DT_HALF, DT_STRING, wire_dtype
from tfs_deploy.codec.varints import decode_varints
from tfs_deploy.codec.wire import Buffer, MalformedError, read_varint, scan, signed
from tfs_deploy.errors import DataLossError, EnvironmentFault, InvalidArgumentError, RequestError
from tfs_deploy.text import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DTYPE: Final = 1 << 3
_SHAPE: Final = 2 << 3 | 2
_CONTENT: Final = 4 << 3 | 2
_STRING_VAL: Final = 8
_DIM: Final = 2 << 3 | 2
_DIM_SIZE: Final = 1 << 3
#: field number of the values of each DataType, and the numpy type they have on the wire
_FIXED: Final = {1: (5, "<f4"), 2: (6, "<f8"), 8: (9, "<f4"), 18: (12, "<f8")}
_INTEGERS: Final = {
    **dict.fromkeys((3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30, 31, 32), 7),
    9: 10,
    10: 11,
    DT_HALF: 13,
    DT_BFLOAT16: 13,
    22: 16,
    23: 17,
}
_FLOAT8: Final = 18
_REPEATED: Final = frozenset((5, 6, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18))
_MAX_CACHED_SHAPE: Final = 128
_MAX_RANK: Final = 254
#: bytes of a tensor, or of all tensors of a message, that were not sent but are asked for by a shape with more elements
#: than values: 30 bytes can ask for more than there is memory
MAX_FILLED: Final = 1 << 26
#: what a string element costs a server besides its bytes, about
_STRING_COST: Final = 64


class TensorError(ValueError):
    """A well-formed TensorProto that does not describe a tensor."""


def decode_tensor(data: bytes | bytearray | memoryview) -> NDArray[Any]:
    """Read a serialized TensorProto; the array is a read-only view on ``data`` where that is possible.

    Raises:
        DataLossError: the bytes are not a TensorProto.
        InvalidArgumentError: its dtype, shape and values do not make a tensor.
    """
    view = as_buffer(data)
    try:
        return read_tensor(view, 0, len(view))
    except MalformedError as error:
        raise DataLossError(f"not a TensorProto: {error}") from error
    except TensorError as error:
        raise InvalidArgumentError(f"tensor parsing error: {error}") from error


def as_buffer(data: bytes | bytearray | memoryview) -> Buffer:
    """Return bytes as they are and every other buffer as a read-only view of unsigned bytes."""
    return data if isinstance(data, bytes) else memoryview(data).cast("B").toreadonly()


def read_tensor(data: Buffer, start: int, stop: int) -> NDArray[Any]:
    """Read the TensorProto in ``data[start:stop]``.

    Raises:
        MalformedError: the bytes are not a TensorProto.
        TensorError: they do not describe a tensor.
    """
    number = 0
    shapes: list[tuple[int, int]] = []
    content = (0, 0)
    values: list[tuple[int, int, int]] = []
    for field in scan(data, start, stop):
        key = field[0]
        if key == _DTYPE:
            number = field[1]
        elif key == _SHAPE:
            shapes.append(field[1:])
        elif key == _CONTENT:
            content = field[1:]
        elif key >> 3 in _REPEATED:
            values.append(field)
    try:
        array = _elements(data, number, _shape(data, shapes), content, values)
    except (MemoryError, OverflowError):
        raise TensorError("no memory for the tensor") from None
    except (TensorError, MalformedError):
        raise
    except ValueError as error:
        raise TensorError(f"numpy cannot make the tensor: {error}") from error
    array.flags.writeable = False
    return array


def _elements(
    data: Buffer, number: int, sizes: tuple[int, ...], content: tuple[int, int], values: list[tuple[int, int, int]]
) -> NDArray[Any]:
    dtype = _dtype(number)
    count = math.prod(sizes)
    if count and content[1] > content[0]:
        return _from_content(data, *content, number, dtype, count).reshape(sizes)
    found = _values(data, values, number, dtype)
    if len(found) >= count:
        return found[:count].reshape(sizes)
    if count * (_STRING_COST if number == DT_STRING else dtype.itemsize) > MAX_FILLED:
        raise TensorError(f"too few values: {counted(count, 'element')}, of which the message has {len(found)}")
    if len(found) > 1:
        return np.concatenate([found, np.broadcast_to(found[-1:], count - len(found))]).reshape(sizes)
    # one value, seen as often as it is asked for: it takes no more memory than the message
    value = found[0] if len(found) else b"" if number == DT_STRING else 0
    return np.broadcast_to(_scalar(value, found.dtype), sizes)


def _scalar(value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    scalar = np.empty((), dtype)
    scalar[()] = value
    return scalar


@functools.cache
def _known_dtype(number: int) -> np.dtype[Any] | None:
    try:
        return wire_dtype(number)
    except RequestError:
        return None


def _dtype(number: int) -> np.dtype[Any]:
    try:
        dtype = _known_dtype(number) if number < 64 else None
    except EnvironmentFault as error:
        raise TensorError(str(error)) from error
    if dtype is None:
        raise TensorError(f"dtype {number} is unknown" if number else "the dtype is missing")
    return dtype


@functools.cache
def _little_endian(dtype: np.dtype[Any]) -> np.dtype[Any]:
    # by name: newbyteorder makes a dtype that numpy no longer knows as its own, and takes longer
    return np.dtype(f"<{dtype.str[1:]}")


def _shape(data: Buffer, places: list[tuple[int, int]]) -> tuple[int, ...]:
    """Read the TensorShapeProtos of a tensor (protobuf merges repeated ones)."""
    if len(places) == 1:
        start, stop = places[0]
        shape = bytes(data[start:stop])
    else:
        shape = b"".join([data[start:stop] for start, stop in places])
    return _cached_shape(shape) if len(shape) <= _MAX_CACHED_SHAPE else _read_shape(shape)


def _read_shape(data: bytes) -> tuple[int, ...]:
    sizes = []
    for key, start, stop in scan(data, 0, len(data)):
        if key == _DIM:
            size = 0
            for dim_key, value, _ in scan(data, start, stop):
                if dim_key == _DIM_SIZE:
                    size = signed(value)
            sizes.append(size)
    if len(sizes) > _MAX_RANK:
        raise TensorError(f"the shape has {len(sizes)} dimensions, more than {_MAX_RANK}")
    if any(size < 0 for size in sizes) or math.prod(sizes) >> 63:
        raise TensorError(f"the shape {sizes} is not possible")
    return tuple(sizes)


_cached_shape = functools.lru_cache(maxsize=1024)(_read_shape)


def _from_content(data: Buffer, start: int, stop: int, number: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if number == DT_STRING:
        return _string_content(data, start, stop, count)
    if stop - start != count * dtype.itemsize:
        raise TensorError(f"tensor_content has {stop - start} bytes instead of {count * dtype.itemsize}")
    if number == DT_BOOL and np.frombuffer(data, np.uint8, count, start).max() > 1:
        raise TensorError("tensor_content of a bool tensor has bytes other than 0 and 1")
    if dtype.isbuiltin == 1:
        return np.frombuffer(data, _little_endian(dtype), count, start)
    # ml_dtypes' types have no buffer format
    return np.frombuffer(data, np.uint8, stop - start, start).view(dtype)


def _string_content(data: Buffer, start: int, stop: int, count: int) -> NDArray[Any]:
    """Strings in one block: all lengths as varints, then all bytes (``port::EncodeStringList``)."""
    if count > stop - start:
        raise TensorError(f"tensor_content is too short for {counted(count, 'string')}")
    try:
        lengths = []
        for _ in range(count):
            length, start = read_varint(data, start)
            lengths.append(length)
    except IndexError:
        raise TensorError(f"tensor_content is too short for {counted(count, 'string')}") from None
    if start + sum(lengths) != stop:
        raise TensorError("the lengths of the strings in tensor_content do not add up")
    out = np.empty(count, object)
    for index, length in enumerate(lengths):
        out[index] = bytes(data[start : start + length])
        start += length
    return out


def _values(data: Buffer, fields: list[tuple[int, int, int]], number: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the values that a tensor has in its ``*_val`` field."""
    if number == DT_STRING:
        return _strings(data, fields)
    if number in _FIXED:
        field, wire = _FIXED[number]
        values = _fixed(data, fields, field, np.dtype(wire))
        if dtype.kind == "c":
            values = values[: len(values) // 2 * 2].view(_little_endian(dtype))
        return values
    if number in _INTEGERS:
        return _integers(data, fields, _INTEGERS[number], number, dtype)
    return _bytes_field(data, fields, _FLOAT8).view(dtype)


def _fixed(data: Buffer, fields: list[tuple[int, int, int]], number: int, wire: np.dtype[Any]) -> NDArray[Any]:
    """Values of a float or double field, packed (one run of bytes) or one by one."""
    runs = []
    single = number << 3 | (5 if wire.itemsize == 4 else 1)
    for key, start, stop in fields:
        if key == number << 3 | 2:
            if (stop - start) % wire.itemsize:
                raise MalformedError("a packed field ends within a value")
            runs.append((start, stop))
        elif key == single:
            runs.append((start, stop))
    if len(runs) == 1:
        start, stop = runs[0]
        return np.frombuffer(data, wire, (stop - start) // wire.itemsize, start)
    return np.frombuffer(b"".join(data[start:stop] for start, stop in runs), wire) if runs else np.empty(0, wire)


def _integers(
    data: Buffer, fields: list[tuple[int, int, int]], field: int, number: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Values of a varint field, packed or one by one, in the dtype of the tensor."""
    packed, single = field << 3 | 2, field << 3
    chosen = [entry for entry in fields if entry[0] in (packed, single)]
    if len(chosen) == 1 and chosen[0][0] == packed:
        wide = decode_varints(data, chosen[0][1], chosen[0][2])
    elif all(key == single for key, _, _ in chosen):
        wide = np.array([value for _, value, _ in chosen], np.uint64)
    else:
        runs = [
            decode_varints(data, start, stop) if key == packed else np.array([start], np.uint64)
            for key, start, stop in chosen
        ]
        wide = np.concatenate(runs)
    if number in (DT_HALF, DT_BFLOAT16):
        return wide.astype(np.uint16).view(dtype)
    if dtype.kind == "b":
        return np.not_equal(wide, 0)
    if dtype.names:
        return wide.view(np.int64).astype(dtype[0]).view(dtype)
    return wide.view(np.int64).astype(dtype)


def _bytes_field(data: Buffer, fields: list[tuple[int, int, int]], number: int) -> NDArray[np.uint8]:
    runs = [(start, stop) for key, start, stop in fields if key == number << 3 | 2]
    if not runs:
        return np.empty(0, np.uint8)
    start, stop = runs[-1]
    return np.frombuffer(data, np.uint8, stop - start, start)


def _strings(data: Buffer, fields: list[tuple[int, int, int]]) -> NDArray[Any]:
    key = _STRING_VAL << 3 | 2
    items = [bytes(data[start:stop]) for found, start, stop in fields if found == key]
    out = np.empty(len(items), object)
    out[:] = items
    return out
