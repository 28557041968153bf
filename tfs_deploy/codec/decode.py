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

from tfs_deploy.codec.dtypes import DT_BFLOAT16, DT_BOOL, DT_HALF, DT_STRING, numpy_dtype
from tfs_deploy.codec.varints import decode_varints
from tfs_deploy.codec.wire import Buffer, MalformedError, read_varint, scan, signed
from tfs_deploy.errors import DataLossError, EnvironmentFault, InvalidArgumentError, RequestError

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
    **dict.fromkeys((3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30), 7),
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
#: bytes that a few values may be repeated to: a message of 30 bytes can ask for more than there is memory
_MAX_FILLED: Final = 1 << 28


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
    shape = b""
    content = (0, 0)
    values: list[tuple[int, int, int]] = []
    for field in scan(data, start, stop):
        key = field[0]
        if key == _DTYPE:
            number = field[1]
        elif key == _SHAPE:
            shape += bytes(data[field[1] : field[2]])
        elif key == _CONTENT:
            content = field[1:]
        elif key >> 3 in _REPEATED:
            values.append(field)
    sizes = _shape(shape)
    try:
        array = _elements(data, number, math.prod(sizes), content, values).reshape(sizes)
    except (MemoryError, OverflowError):
        raise TensorError(f"no memory for the shape {list(sizes)}") from None
    except (TensorError, MalformedError):
        raise
    except ValueError as error:
        raise TensorError(f"numpy cannot make the shape {list(sizes)}") from error
    array.flags.writeable = False
    return array


def _elements(
    data: Buffer, number: int, count: int, content: tuple[int, int], values: list[tuple[int, int, int]]
) -> NDArray[Any]:
    dtype = _dtype(number)
    if count and content[1] > content[0]:
        return _from_content(data, *content, number, dtype, count)
    return _from_values(data, values, number, dtype, count)


@functools.cache
def _known_dtype(number: int) -> np.dtype[Any] | None:
    try:
        return numpy_dtype(number)
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


def _shape(data: bytes) -> tuple[int, ...]:
    return _cached_shape(data) if len(data) <= _MAX_CACHED_SHAPE else _read_shape(data)


def _read_shape(data: bytes) -> tuple[int, ...]:
    """Read the concatenated TensorShapeProtos of a tensor (protobuf merges repeated ones)."""
    sizes = []
    for key, start, stop in scan(data, 0, len(data)):
        if key == _DIM:
            size = 0
            for dim_key, value, _ in scan(data, start, stop):
                if dim_key == _DIM_SIZE:
                    size = signed(value)
            sizes.append(size)
    if any(size < 0 for size in sizes) or len(sizes) > _MAX_RANK or math.prod(sizes) >> 63:
        raise TensorError(f"the shape {sizes} is not possible")
    return tuple(sizes)


_cached_shape = functools.lru_cache(maxsize=1024)(_read_shape)


def _from_content(data: Buffer, start: int, stop: int, number: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    if number == DT_STRING:
        return _string_content(data, start, stop, count)
    if stop - start != count * dtype.itemsize:
        raise TensorError(f"tensor_content has {stop - start} bytes, {count} elements need {count * dtype.itemsize}")
    if number == DT_BOOL and np.frombuffer(data, np.uint8, count, start).max() > 1:
        raise TensorError("tensor_content of a bool tensor has bytes other than 0 and 1")
    if dtype.isbuiltin == 1:
        return np.frombuffer(data, _little_endian(dtype), count, start)
    # ml_dtypes' types have no buffer format
    return np.frombuffer(data, np.uint8, stop - start, start).view(dtype)


def _string_content(data: Buffer, start: int, stop: int, count: int) -> NDArray[Any]:
    """Strings in one block: all lengths as varints, then all bytes (``port::EncodeStringList``)."""
    if count > stop - start:
        raise TensorError(f"tensor_content is too short for {count} strings")
    try:
        lengths = []
        for _ in range(count):
            length, start = read_varint(data, start)
            lengths.append(length)
    except IndexError:
        raise TensorError(f"tensor_content is too short for {count} strings") from None
    if start + sum(lengths) != stop:
        raise TensorError("the lengths of the strings in tensor_content do not add up")
    out = np.empty(count, object)
    for index, length in enumerate(lengths):
        out[index] = bytes(data[start : start + length])
        start += length
    return out


def _from_values(
    data: Buffer, fields: list[tuple[int, int, int]], number: int, dtype: np.dtype[Any], count: int
) -> NDArray[Any]:
    if number == DT_STRING:
        return _fill(_strings(data, fields), count)
    if number in _FIXED:
        field, wire = _FIXED[number]
        values = _fixed(data, fields, field, np.dtype(wire))
        if dtype.kind == "c":
            values = values[: len(values) // 2 * 2].view(_little_endian(dtype))
    elif number in _INTEGERS:
        values = _integers(data, fields, _INTEGERS[number], number, dtype)
    else:
        values = _bytes_field(data, fields, _FLOAT8).view(dtype)
    return _fill(values, count)


def _fill(values: NDArray[Any], count: int) -> NDArray[Any]:
    """Cut or extend the values to ``count`` elements, with zeros or empty strings."""
    if len(values) == count:
        return values
    if len(values) > count:
        return values[:count]
    if count * values.dtype.itemsize > _MAX_FILLED:
        raise TensorError(f"no memory for {count} elements, of which the message has {len(values)}")
    if not len(values):
        return np.full(count, b"", object) if values.dtype == object else np.zeros(count, values.dtype)
    out = np.empty(count, values.dtype)
    out[: len(values)] = values
    out[len(values) :] = values[-1]
    return out


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
