"""Packed varints to numpy arrays and back, without a Python loop over the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.codec.wire import Buffer, MalformedError, read_varint

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: below this many bytes a plain loop is quicker than numpy's set-up
_SMALL = 48
_MAX_LENGTH = 10


def decode_varints(data: Buffer, start: int, stop: int) -> NDArray[np.uint64]:
    """Decode the packed varints in ``data[start:stop]`` as uint64 (negative numbers as two's complement).

    Raises:
        MalformedError: the last varint is cut off, or one is longer than ten bytes.
    """
    if stop - start <= _SMALL:
        return _decode_few(data, start, stop)
    raw = np.frombuffer(data, np.uint8, stop - start, start)
    last = raw < 0x80
    if not last[-1]:
        raise MalformedError("a packed field ends within a varint")
    if last.all():
        return raw.astype(np.uint64)
    ends = np.flatnonzero(last)
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts + 1
    longest = int(lengths.max())
    if longest > _MAX_LENGTH:
        raise MalformedError("a varint is longer than ten bytes")
    values = (raw[starts] & 0x7F).astype(np.uint64)
    which: Any = slice(None)
    for byte in range(1, longest):
        chosen = np.flatnonzero(lengths > byte)
        which = slice(None) if len(chosen) == len(lengths) else chosen
        part = (raw[starts[which] + byte] & 0x7F).astype(np.uint64)
        values[which] |= part << np.uint64(7 * byte)
    return values


def _decode_few(data: Buffer, start: int, stop: int) -> NDArray[np.uint64]:
    values = []
    position = start
    try:
        while position < stop:
            byte = data[position]
            if byte < 0x80:
                values.append(byte)
                position += 1
            else:
                value, position = read_varint(data, position)
                values.append(value)
    except IndexError:
        position = stop + 1
    if position != stop:
        raise MalformedError("a packed field ends within a varint")
    return np.array(values, np.uint64)


def encode_varints(values: NDArray[Any]) -> Any:
    """Encode integers of any dtype as packed varints; return a bytes-like object.

    Signed types are sign-extended to 64 bits, as protobuf's int32 and int64 fields are.
    """
    flat = values.reshape(-1)
    wide = flat.astype(np.int64).view(np.uint64) if flat.dtype.kind == "i" else flat.astype(np.uint64)
    if not wide.size:
        return b""
    largest = int(wide.max())
    if largest < 0x80:
        return wide.astype(np.uint8)
    longest = (largest.bit_length() + 6) // 7
    groups = np.empty((wide.size, longest), np.uint8)
    lengths = np.ones(wide.size, np.intp)
    for byte in range(longest):
        rest = wide >> np.uint64(7 * byte)
        groups[:, byte] = rest & np.uint64(0x7F) | np.uint64(0x80)
        if byte:
            lengths += rest != 0
    columns = np.arange(longest)
    groups[np.arange(wide.size), lengths - 1] &= 0x7F
    return groups[columns < lengths[:, None]]
