# SPDX-License-Identifier: Apache-2.0
"""Uncompress Snappy blocks, in which TensorFlow keeps the index of a bundle (google/snappy, format_description.txt)."""

from __future__ import annotations

from typing import Final

from tfs_deploy.savedmodel.formats.wire import WireError

#: three bytes can stand for at most 64, so more than this many bytes out for one in is damaged
_MOST: Final = 24


def uncompress(data: bytes) -> bytes:
    """Return the content of one Snappy block; ``WireError`` if it is damaged."""
    length, at = _length(data)
    if length > _MOST * len(data):
        raise WireError("a compressed block claims to hold more than it can")
    out = bytearray()
    while at < len(data):
        tag = data[at]
        if tag & 3 == 0:
            start, size = _literal(data, at, tag)
            at = start + size
            if at > len(data):
                raise WireError("a compressed block is cut off")
            out += data[start:at]
        else:
            offset, size, at = _copy(data, at, tag)
            if not 0 < offset <= len(out):
                raise WireError("a compressed block refers to what is not there")
            _repeat(out, offset, size)
        if len(out) > length:
            raise WireError("a compressed block is longer than it says")
    if len(out) != length:
        raise WireError("a compressed block is shorter than it says")
    return bytes(out)


def _length(data: bytes) -> tuple[int, int]:
    value = 0
    for at, byte in enumerate(data[:5]):
        value |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return value, at + 1
    raise WireError("a compressed block has no length")


def _literal(data: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return where the bytes of a literal begin, and how many there are."""
    size = tag >> 2
    if size < 60:
        return at + 1, size + 1
    width = size - 59
    return at + 1 + width, int.from_bytes(data[at + 1 : at + 1 + width], "little") + 1


def _copy(data: bytes, at: int, tag: int) -> tuple[int, int, int]:
    """Return how far back a copy begins, its length, and the position after it."""
    if tag & 3 == 1:
        low = data[at + 1] if at + 1 < len(data) else 0
        return (tag >> 5) << 8 | low, ((tag >> 2) & 7) + 4, at + 2
    width = 2 if tag & 3 == 2 else 4
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), (tag >> 2) + 1, at + 1 + width


def _repeat(out: bytearray, offset: int, size: int) -> None:
    """Append ``size`` bytes that begin ``offset`` before the end; they may overlap what is appended."""
    start = len(out) - offset
    piece = bytes(out[start : start + size])
    while len(piece) < size:
        piece += piece[: size - len(piece)]
    out += piece
