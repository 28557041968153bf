# SPDX-License-Identifier: Apache-2.0
"""Read protobuf files piece by piece: runs of small fields as bytes, long fields by their position only.

A SavedModel of gigabytes is mostly tensors inside a few nodes. ``read_fields`` walks one message of the file with a
small window. The caller parses the runs with the real message class (a run of whole fields is a valid message),
descends into the long fields it knows, and skips the others unread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.host.regular_file import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typing_extensions import Self

#: fields longer than this many bytes are not read whole
WINDOW: Final = 1 << 16
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are not a valid protobuf message."""


class FileReader:
    """A file that is read by position; a context manager."""

    def __init__(self, path: Path) -> None:
        self._file = open_regular(path, buffering=0)
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from ``start`` to ``stop``; ``WireError`` if the file became shorter."""
        self._file.seek(start)
        data = self._file.read(stop - start)
        while len(data) < stop - start:
            more = self._file.read(stop - start - len(data))
            if not more:
                raise WireError(f"the file ends at byte {start + len(data)}, but {stop} bytes are expected")
            data += more
        return data


@dataclass(frozen=True, slots=True)
class LongField:
    """A length-delimited field too long to be read whole: its number, where its tag and its content are."""

    number: int
    tag: int
    start: int
    stop: int


def read_fields(reader: FileReader, start: int, stop: int) -> Iterator[bytes | LongField]:
    """Yield the message at ``start:stop`` as runs of whole fields and long fields, in order.

    Raises:
        WireError: with the byte offset, where a field is malformed or runs past the end.
    """
    position = start
    while position < stop:
        data = reader.read(position, min(position + WINDOW, stop))
        whole = _whole_fields(data, position)
        if whole:
            yield data if whole == len(data) else data[:whole]
            position += whole
            continue
        number, offset, length = _long_header(data, position)
        big = LongField(number, position, position + offset, position + offset + length)
        if big.stop > stop:
            raise WireError(f"field {number} at byte {position} runs {big.stop - stop} bytes past the end")
        yield big
        position = big.stop


def _whole_fields(data: bytes, base: int) -> int:
    """Return how many bytes of ``data`` are whole fields."""
    position, size = 0, len(data)
    while position < size:
        first = data[position]
        kind = first & 7
        at = position + 1
        if first >= 0x80:
            at = _skip_varint(data, at, base)
        if kind == _LENGTH:
            if at >= size:
                return position
            length = data[at]
            at += 1
            if length >= 0x80:
                length, at = _varint(data, at - 1, base)
            at += length
        elif kind == _VARINT:
            at = _skip_varint(data, at, base)
        elif kind == _FIXED32:
            at += 4
        elif kind == _FIXED64:
            at += 8
        else:
            raise WireError(f"byte {base + position} starts no field")
        if at > size:
            return position
        position = at
    return position


def _skip_varint(data: bytes, at: int, base: int) -> int:
    """Return the position after the varint at ``at``, past the end if it is cut off."""
    limit = at + 10
    size = len(data)
    while at < size:
        if data[at] < 0x80:
            return at + 1
        at += 1
        if at >= limit:
            raise WireError(f"byte {base + at} ends no number")
    return size + 1


def _varint(data: bytes, at: int, base: int) -> tuple[int, int]:
    """Return value and end of the varint at ``at``; the end is past the data if it is cut off."""
    value = shift = 0
    size = len(data)
    while at < size:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise WireError(f"byte {base + at} ends no number")
    return 0, size + 1


def _long_header(data: bytes, base: int) -> tuple[int, int, int]:
    """Return field number, offset of the content and its length of the one field that ``data`` begins."""
    tag, at = _varint(data, 0, base)
    if at > len(data) or tag & 7 != _LENGTH:
        raise WireError(f"the field at byte {base} is cut off")
    length, at = _varint(data, at, base)
    if at > len(data):
        raise WireError(f"the field at byte {base} is cut off")
    return tag >> 3, at, length
