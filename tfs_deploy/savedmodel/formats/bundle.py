# SPDX-License-Identifier: Apache-2.0
"""The variables of a SavedModel: a tensor bundle, which is an index and data files (core/util/tensor_bundle)."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import ModelError, file_hint
from tfs_deploy.protos.signatures import ML_DTYPES, dtype_name
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.crc32c import crc32c, mask
from tfs_deploy.savedmodel.formats.sstable import read_table
from tfs_deploy.savedmodel.formats.wire import FileReader, WireError

if TYPE_CHECKING:
    from pathlib import Path

#: the entry in which TF2 keeps its object graph among the variables
_OBJECT_GRAPH: Final = "_CHECKPOINTABLE_OBJECT_GRAPH"
_TF2_SUFFIX: Final = "/.ATTRIBUTES/VARIABLE_VALUE"
_ESCAPED: Final = re.compile(r"\.([.S])")
_STRING: Final = 7
_VARIANT: Final = 21
_CHUNK: Final = 1 << 22
#: bytes of one element
_WIDTHS: Final = {
    **dict.fromkeys(("bool", "int8", "uint8", "qint8", "quint8"), 1),
    **dict.fromkeys(ML_DTYPES, 1),
    **dict.fromkeys(("int16", "uint16", "float16", "bfloat16", "qint16", "quint16"), 2),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32"), 4),
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    "complex128": 16,
}
_HINT: Final = "copy or export the version again; the server fails to load it or answers with errors"


@dataclass(frozen=True, slots=True)
class Variable:
    """One stored tensor; ``bytes`` is its size in the data files, all slices of a partitioned one together."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a tensor lies: ``dtype`` is its DataType number, ``elements`` how many it has, ``crc`` is masked."""

    name: str
    dtype: int
    elements: int
    shard: int
    offset: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """The content of ``variables/``; ``shards`` are its data files by number."""

    variables: tuple[Variable, ...]
    shards: dict[int, Path]
    entries: tuple[_Entry, ...]

    @property
    def total_bytes(self) -> int:
        """Bytes of all variables."""
        return sum(variable.bytes for variable in self.variables)

    @property
    def stored_bytes(self) -> int:
        """Bytes of everything in the data files."""
        return sum(entry.size for entry in self.entries)


def read_bundle(version_dir: Path) -> Bundle | None:
    """Read the index of a version's variables, not the data; ``None`` if it has none.

    Raises:
        ModelError: the index is damaged or missing beside data files, or a data file is missing or too short.
    """
    from google.protobuf.message import DecodeError

    index = version_dir / layout.VARIABLES_INDEX
    if not index.exists():
        if any((version_dir / layout.VARIABLES).glob("variables.data-*")):
            raise ModelError(f"{index} does not exist, but its data files do", hint=_HINT)
        return None
    try:
        header, entries, variables = _read_index(index)
    except OSError as error:
        raise ModelError(f"{index} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except (WireError, DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{index} is damaged: {error}", hint=_HINT) from error
    shards = _shards(version_dir, entries, header.num_shards)
    return Bundle(tuple(variables), shards, tuple(entries))


def verify_bundle(bundle: Bundle) -> list[tuple[Path, str]]:
    """Compare every tensor with its checksum; return the damaged ones as data file and name.

    The server does the same at load and fails with DATA_LOSS. Tensors of type variant are not covered.
    """
    return [(path, name) for number, path in bundle.shards.items() for name in _damaged(bundle, number, path)]


def _damaged(bundle: Bundle, number: int, path: Path) -> list[str]:
    """Return the tensors of one data file that do not match their checksums."""
    try:
        with FileReader(path) as reader:
            return [
                _plain_name(entry.name)
                for entry in bundle.entries
                if entry.shard == number and entry.dtype != _VARIANT and mask(_checksum(reader, entry)) != entry.crc
            ]
    except (OSError, WireError) as error:
        hint = file_hint(error) if isinstance(error, OSError) else _HINT
        raise ModelError(f"{path} cannot be read: {error}", hint=hint) from error


def _read_index(index: Path) -> tuple[Any, list[_Entry], list[Variable]]:
    table = read_table(index)
    first = next(table, None)
    if first is None or first[0] != b"":
        raise WireError("it has no header")
    header = protos.BundleHeaderProto.FromString(first[1])
    entries: list[_Entry] = []
    variables: dict[str, Variable] = {}
    for key, value in table:
        entry = protos.BundleEntryProto.FromString(value)
        # The parts of a partitioned variable stand under keys that begin with a zero byte, before all names.
        name = "a slice of a variable" if key.startswith(b"\0") else key.decode()
        if not key.startswith(b"\0") and name != _OBJECT_GRAPH:
            variables[name] = _variable(name, entry)
        if entry.size:
            entries.append(_entry(name, entry))
    return header, entries, list(variables.values())


def _variable(name: str, entry: Any) -> Variable:
    shape = tuple(d.size if d.size >= 0 else None for d in entry.shape.dim)
    dtype = dtype_name(entry.dtype)
    size = _elements(entry) * _WIDTHS.get(dtype, 0) if entry.slices else entry.size
    return Variable(_plain_name(name), dtype, shape, size)


def _plain_name(key: str) -> str:
    """Return a variable's name as its owner wrote it; in TF2's attribute names ``/`` is ``.S`` and ``.`` is ``..``.

    (tensorflow/python/trackable/trackable_utils.py, escape_local_name)
    """
    name = key.removesuffix(_TF2_SUFFIX)
    return name if name == key else _ESCAPED.sub(lambda match: "/" if match[1] == "S" else ".", name)


def _entry(name: str, entry: Any) -> _Entry:
    if entry.offset < 0 or entry.size < 0 or entry.shard_id < 0:
        raise WireError(f"its entry '{name}' has a negative size or place")
    place = (entry.shard_id, entry.offset, entry.size, entry.crc32c)
    return _Entry(name, entry.dtype, _elements(entry), *place)


def _elements(entry: Any) -> int:
    return math.prod(max(dimension.size, 0) for dimension in entry.shape.dim)


def _shards(version_dir: Path, entries: list[_Entry], count: int) -> dict[int, Path]:
    """Return the data files by number after checking that each is there and long enough."""
    ends: dict[int, int] = {}
    for entry in entries:
        ends[entry.shard] = max(ends.get(entry.shard, 0), entry.offset + entry.size)
    shards = {}
    for number, end in sorted(ends.items()):
        path = version_dir / f"{layout.VARIABLES_PREFIX}.data-{number:05d}-of-{count:05d}"
        if not path.is_file():
            raise ModelError(f"{path} does not exist, but the index names it", hint=_HINT)
        size = path.stat().st_size
        if size < end:
            raise ModelError(f"{path} has {size} bytes, but its index needs {end}", hint=_HINT)
        shards[number] = path
    return shards


def _checksum(reader: FileReader, entry: _Entry) -> int:
    """Return the CRC-32C of a tensor as the writer of bundles computes it."""
    if entry.dtype == _STRING:
        return _string_checksum(reader, entry)
    crc, at, stop = 0, entry.offset, entry.offset + entry.size
    while at < stop:
        crc = crc32c(reader.read(at, min(at + _CHUNK, stop)), crc)
        at += _CHUNK
    return crc


def _string_checksum(reader: FileReader, entry: _Entry) -> int:
    """Checksum a string tensor: its lengths as integers, the checksum of those, then all bytes (WriteStringTensor).

    The file holds the lengths as varints, then that inner checksum, then the bytes. -1 if the lengths do not fit there.
    """
    from google.protobuf.message import DecodeError

    from tfs_deploy.protos.pieces import read_varint

    data = reader.read(entry.offset, entry.offset + entry.size)
    if entry.elements > len(data):
        return -1
    at, crc = 0, 0
    for _ in range(entry.elements):
        try:
            length, at = read_varint(data, at)
        except DecodeError:
            return -1
        crc = crc32c(struct.pack("<I" if length < 2**32 else "<Q", length & 0xFFFFFFFFFFFFFFFF), crc)
    crc = crc32c(data[at : at + 4], crc)
    return crc32c(memoryview(data)[at + 4 :], crc)
