# SPDX-License-Identifier: Apache-2.0
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
#: masks of the lowest 0 to 8 bytes of a word
_LOW_BYTES = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
#: bits that stay, bits that move, by how many places
_JOINS = tuple(
    (np.uint64(keep), np.uint64(move), np.uint64(shift))
    for keep, move, shift in (
        (0x007F007F007F007F, 0x7F007F007F007F00, 1),
        (0x00003FFF00003FFF, 0x3FFF00003FFF0000, 2),
        (0x000000000FFFFFFF, 0x0FFFFFFF00000000, 4),
    )
)


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
    lengths = np.diff(ends, prepend=-1)
    longest = int(lengths.max())
    if longest > _MAX_LENGTH:
        raise MalformedError("a varint is longer than ten bytes")
    starts = ends - lengths + 1
    values = _join_groups(_words(raw)[starts] & _LOW_BYTES[np.minimum(lengths, 8)], longest)
    for byte in range(8, longest):
        which = np.flatnonzero(lengths > byte)
        values[which] |= (raw[starts[which] + byte] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * byte)
    return values


def _words(raw: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """View the eight bytes from every position on as one little-endian number."""
    padded = np.zeros(raw.size + 8, np.uint8)
    padded[: raw.size] = raw
    return np.ndarray((raw.size,), "<u8", padded, strides=(1,))


def _join_groups(words: NDArray[np.uint64], longest: int) -> NDArray[np.uint64]:
    """Close the gaps that the continuation bits leave between groups of 7 bits: in pairs, fours and eights."""
    for width, (keep, move, shift) in zip((1, 2, 4), _JOINS, strict=True):
        if longest > width or width == 1:
            moved = words & move
            moved >>= shift
            words &= keep
            words |= moved
    return words


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
