# SPDX-License-Identifier: Apache-2.0
"""Read LevelDB-style tables, the format of ``variables.index`` (core/lib/io/format.cc, block.cc, table.cc).

A table is data blocks, an index block that names them, and a footer of 48 bytes that names the index block. A block
holds entries whose keys leave out what they share with the key before, and ends in its restart points; behind it
stand its compression type and its masked CRC-32C.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from tfs_deploy.savedmodel.formats.crc32c import masked_crc32c
from tfs_deploy.savedmodel.formats.snappy import uncompress
from tfs_deploy.savedmodel.formats.wire import FileReader, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOOTER: Final = 48
_MAGIC: Final = 0xDB4775248B80FB57
_TRAILER: Final = struct.Struct("<BI")
_UINT32: Final = struct.Struct("<I")
_UNCOMPRESSED: Final = 0
_SNAPPY: Final = 1
#: bytes that the keys of a block may come to, by those of the block: what keys share is written every 16th time
_KEYS_TO_BLOCK: Final = 64


def read_table(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values in order.

    Raises:
        WireError: the file is not a table, or is damaged; every block is checked against its checksum.
        OSError: the file cannot be read.
    """
    with FileReader(path) as reader:
        if reader.size < _FOOTER:
            raise WireError(f"it has {reader.size} bytes, fewer than the footer of a table")
        footer = reader.read(reader.size - _FOOTER, reader.size)
        if struct.unpack_from("<Q", footer, _FOOTER - 8) != (_MAGIC,):
            raise WireError("it does not end like a table")
        start, size, at = _handle(footer, 0)
        _block(reader, start, size)  # about the table itself; empty, but damage there is damage
        start, size, _ = _handle(footer, at)
        position = 0
        for _, handle in _entries(_block(reader, start, size)):
            start, size, _ = _handle(handle, 0)
            # Blocks follow one another; a damaged index must not make us read the same one over and over.
            if start < position:
                raise WireError(f"its index names the block at byte {start} out of order")
            yield from _entries(_block(reader, start, size))
            position = start + size


def _block(reader: FileReader, start: int, size: int) -> bytes:
    """Return the content of a block after checking it."""
    if start + size + _TRAILER.size > reader.size:
        raise WireError(f"its block at byte {start} runs past the end")
    data = reader.read(start, start + size + _TRAILER.size)
    compression, checksum = _TRAILER.unpack_from(data, size)
    if masked_crc32c(memoryview(data)[: size + 1]) != checksum:
        raise WireError(f"its block at byte {start} does not match its checksum")
    if compression not in (_UNCOMPRESSED, _SNAPPY):
        raise WireError(f"its block at byte {start} is compressed in an unknown way ({compression})")
    return data[:size] if compression == _UNCOMPRESSED else uncompress(data[:size])


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block."""
    if len(block) < _UINT32.size:
        raise WireError("one of its blocks is too short")
    (restarts,) = _UINT32.unpack_from(block, len(block) - _UINT32.size)
    stop = len(block) - _UINT32.size * (restarts + 1)
    at, key, keys = 0, b"", 0
    while at < stop:
        shared, at = _number(block, at)
        more, at = _number(block, at)
        length, at = _number(block, at)
        if shared > len(key) or at + more + length > stop:
            raise WireError("an entry runs past the end of its block")
        key = key[:shared] + block[at : at + more]
        at += more
        keys += len(key)
        if keys > _KEYS_TO_BLOCK * len(block):
            raise WireError("the keys of one of its blocks are far longer than the block")
        yield key, block[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[int, int, int]:
    """Return offset and size of a block, and the position after its handle."""
    offset, at = _number(data, at)
    size, at = _number(data, at)
    return offset, size, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("a number in it is cut off")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
