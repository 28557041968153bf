# SPDX-License-Identifier: Apache-2.0
"""The protobuf wire format, as far as tensors need it: varints, length-delimited fields, one scan of a message."""

from __future__ import annotations

from typing import Final, TypeAlias

Buffer: TypeAlias = "bytes | memoryview"

VARINT: Final = 0
FIXED64: Final = 1
LENGTH: Final = 2
GROUP_START: Final = 3
GROUP_END: Final = 4
FIXED32: Final = 5

_MAX_VARINT: Final = 10
_MAX_GROUPS: Final = 100
_BEYOND: Final = "a field reaches beyond its message"
_MASK64: Final = (1 << 64) - 1


class MalformedError(ValueError):
    """The bytes are not a message of the expected type; translated at the public functions of ``codec``."""


def varint(value: int) -> bytes:
    """Encode an integer (negative ones as 64-bit two's complement, ten bytes)."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= _MASK64
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def delimited(tag: bytes, payload: bytes) -> bytes:
    """Encode a length-delimited field."""
    return tag + varint(len(payload)) + payload


def read_varint(data: Buffer, position: int) -> tuple[int, int]:
    """Decode an unsigned varint of up to 64 bits; return it and the position behind it. May raise ``IndexError``."""
    value = shift = 0
    for index in range(position, position + _MAX_VARINT):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK64, index + 1
        shift += 7
    raise MalformedError("a varint is longer than ten bytes")


def signed(value: int) -> int:
    """Read an unsigned 64-bit value as two's complement."""
    return value - (1 << 64) if value >> 63 else value


def scan(data: Buffer, position: int, end: int) -> list[tuple[int, int, int]]:
    """List the fields of the message in ``data[position:end]``, in order.

    Each is ``(key, start, stop)`` with ``key = field number * 8 + wire type``; of a varint field ``start`` is the
    value itself. Groups, which no current schema uses, are stepped over.

    Raises:
        MalformedError: a field reaches beyond the message, or its tag is not valid.
    """
    fields: list[tuple[int, int, int]] = []
    add = fields.append
    try:
        while position < end:
            key = data[position]
            position += 1
            if key >= 0x80:
                key, position = read_varint(data, position - 1)
            kind = key & 7
            if kind == LENGTH:
                size = data[position]
                position += 1
                if size >= 0x80:
                    size, position = read_varint(data, position - 1)
                stop = position + size
                if stop > end:
                    raise MalformedError(_BEYOND)
                add((key, position, stop))
                position = stop
            elif kind == VARINT:
                value, position = read_varint(data, position)
                add((key, value, position))
            elif kind in (FIXED32, FIXED64):
                stop = position + (4 if kind == FIXED32 else 8)
                add((key, position, stop))
                position = stop
            elif kind == GROUP_START:
                position = _skip_group(data, position, end, key >> 3)
            else:
                raise MalformedError(f"unknown wire type {kind}")
            if key < 8:
                raise MalformedError("field number 0 is not valid")
    except IndexError:
        raise MalformedError("the message ends within a field") from None
    if position != end:
        raise MalformedError(_BEYOND)
    return fields


def _skip_group(data: Buffer, position: int, end: int, number: int) -> int:
    """Return the position behind the group that starts at ``position``; may raise ``IndexError``."""
    opened = [number]
    while opened:
        if position >= end or len(opened) > _MAX_GROUPS:
            raise MalformedError("a group does not end")
        key, position = read_varint(data, position)
        kind = key & 7
        if kind == VARINT:
            _, position = read_varint(data, position)
        elif kind == LENGTH:
            size, position = read_varint(data, position)
            position += size
        elif kind in (FIXED32, FIXED64):
            position += 4 if kind == FIXED32 else 8
        elif kind == GROUP_START:
            opened.append(key >> 3)
        elif kind != GROUP_END or opened.pop() != key >> 3:
            raise MalformedError("a group ends that did not start")
    return position


def text(data: Buffer, start: int, stop: int) -> str:
    """Read a string field; proto3 strings must be UTF-8."""
    try:
        return str(data[start:stop], "utf-8")
    except UnicodeDecodeError:
        raise MalformedError("a string is not UTF-8") from None
