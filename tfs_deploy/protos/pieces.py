# SPDX-License-Identifier: Apache-2.0
"""Large messages parsed in pieces: protobuf parses in one call, in which no other thread of the process runs.

Parts of a message that are merged one after the other make the message that all of them together make (the rule of
https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

#: bytes that are parsed in one call, which takes some milliseconds
PIECE: Final = 1 << 18
_LENGTH: Final = 2
_FIXED: Final = {1: 8, 5: 4}


def _go_on() -> None:
    pass


def parse_in_pieces(kind: Any, data: bytes, proceed: Callable[[], None] = _go_on) -> Any:
    """Return the message of a ``kind`` that the bytes hold; ``proceed`` is called between pieces, and may raise.

    Raises:
        DecodeError: they hold none.
    """
    message = kind()
    _merge(message, memoryview(data), proceed)
    return message


def _merge(message: Any, data: memoryview, proceed: Callable[[], None]) -> None:
    if len(data) <= PIECE:
        message.MergeFromString(bytes(data))
        return
    fields = message.DESCRIPTOR.fields_by_number
    begin = at = 0
    while at < len(data):
        at = _behind_short_fields(data, at, min(begin + PIECE, len(data) - 2))
        tag, content = read_varint(data, at)
        end = _end(data, tag, content)
        field = fields.get(tag >> 3)
        large = end - at > PIECE and tag & 7 == _LENGTH and _is_message(field)
        if large or end - begin > PIECE:
            proceed()
            message.MergeFromString(bytes(data[begin:at]))
            begin = at
        if large:
            _merge(_part(message, field), data[read_varint(data, content)[1] : end], proceed)
            begin = end
        at = end
    message.MergeFromString(bytes(data[begin:]))


def _behind_short_fields(data: memoryview, at: int, last: int) -> int:
    """Return the place behind fields of fewer than 128 bytes, of which there may be millions."""
    while at < last and (tag := data[at]) < 0x80 and tag & 7 == _LENGTH and (length := data[at + 1]) < 0x80:
        following = at + 2 + length
        if following >= len(data):
            break
        at = following
    return at


def _is_message(field: Any) -> bool:
    return field is not None and field.message_type is not None and not field.message_type.GetOptions().map_entry


def _part(message: Any, field: Any) -> Any:
    """Return the message that a field holds, a new one if it is repeated."""
    part = getattr(message, field.name)
    if hasattr(part, "add"):
        return part.add()
    part.SetInParent()
    return part


def _end(data: memoryview, tag: int, content: int) -> int:
    """Return where the field ends whose content begins there."""
    kind = tag & 7
    if kind == 0:
        end = read_varint(data, content)[1]
    elif kind == _LENGTH:
        length, content = read_varint(data, content)
        end = content + length
    elif kind in _FIXED:
        end = content + _FIXED[kind]
    else:
        raise DecodeError("a large message holds a group")
    if end > len(data):
        raise DecodeError("the message ends too early")
    return end


def read_varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """Return a number, and where it ends; ``DecodeError`` if the data or ten bytes end before it does."""
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
    raise DecodeError("a number of the message does not end")
