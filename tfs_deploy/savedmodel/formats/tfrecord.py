# SPDX-License-Identifier: Apache-2.0
"""TFRecord files: uint64 length, masked CRC-32C of it, data, masked CRC-32C of that; all little-endian."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, file_hint
from tfs_deploy.host.regular_file import open_regular
from tfs_deploy.savedmodel.formats.crc32c import masked_crc32c

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_HEADER: Final = struct.Struct("<QI")
_FOOTER: Final = struct.Struct("<I")


def frame(data: bytes) -> bytes:
    """Return one record as it stands in the file."""
    length = struct.pack("<Q", len(data))
    return b"".join(
        (length, _FOOTER.pack(masked_crc32c(length)), data, _FOOTER.pack(masked_crc32c(data))),
    )


def write_records(path: str | Path, records: Iterable[bytes]) -> int:
    """Write ``records`` to a new file (or over an old one) and return how many there were."""
    count = 0
    with Path(path).open("wb") as file:
        for record in records:
            file.write(frame(record))
            count += 1
    return count


def read_records(path: str | Path) -> Iterator[bytes]:
    """Yield every record; ``ModelError`` names the file, the record and the byte offset where it is damaged."""
    with _opened(path) as file:
        for number, (offset, length) in enumerate(_extents(file, path)):
            file.seek(offset)
            data = file.read(length)
            (stored,) = _FOOTER.unpack(file.read(_FOOTER.size))
            if stored != masked_crc32c(data):
                raise _damaged(path, number, offset, "its data does not match its checksum")
            yield data


def count_records(path: str | Path) -> int:
    """Count the records by their headers alone; ``ModelError`` if the framing is damaged."""
    with _opened(path) as file:
        return sum(1 for _ in _extents(file, path))


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[BinaryIO]:
    try:
        with open_regular(path) as file:
            yield file
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error


def _extents(file: BinaryIO, path: str | Path) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each record's data; checks the headers and that the file is long enough."""
    size = file.seek(0, 2)
    offset = number = 0
    while offset < size:
        file.seek(offset)
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise _damaged(path, number, offset, "the file ends inside its header")
        length, stored = _HEADER.unpack(header)
        if stored != masked_crc32c(header[:8]):
            raise _damaged(path, number, offset, "its length does not match its checksum")
        end = offset + _HEADER.size + length + _FOOTER.size
        if end > size:
            raise _damaged(path, number, offset, "the file ends inside its data")
        yield offset + _HEADER.size, length
        offset = end
        number += 1


def _damaged(path: str | Path, number: int, offset: int, reason: str) -> ModelError:
    return ModelError(
        f"{path}: record {number} (byte {offset}) is not a valid TFRecord: {reason}",
        hint="write the file again; the server refuses to load a version whose warmup file is damaged",
    )
