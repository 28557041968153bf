# SPDX-License-Identifier: Apache-2.0
"""The layers of a version: uncompressed tars that depend on the number and the files alone. Pure.

Names in order, mode, owner and time fixed, headers of ustar, and of pax where a name or size needs it: the same files
have the same digest on every machine. As order and headers are known, so is where each file begins.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfs_deploy.savedmodel.manifest import FileEntry

_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)
#: bytes of files after which another layer begins, so that several travel at once and what was sent stays sent
LAYER_BYTES: Final = 64 << 20
#: a file system of layers takes some 100 of them
_MOST_LAYERS: Final = 32


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a layer: its path below the version, what stands before its content, where that begins, its size.

    ``header`` has the directories too that are new in the layer. Sizes and ``offset`` in bytes.
    """

    name: str
    header: bytes
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Layer:
    """A tar: its files in order, and its size in bytes."""

    members: tuple[Member, ...]
    size: int

    def chunks(self, content: Callable[[str], Iterator[bytes]]) -> Iterator[bytes]:
        """Yield the tar; ``content`` yields that of a file, which must have the size of its member."""
        for member in self.members:
            yield member.header
            yield from content(member.name)
            if padding := -member.size % _BLOCK:
                yield bytes(padding)
        yield _END

    def files(self, chunks: Iterable[bytes]) -> Iterator[tuple[str, memoryview]]:
        """Yield (name, piece of content) for each file of the tar in order, at least one piece for each.

        Headers are not read: what is where is known.
        """
        position, rest = 0, iter(chunks)
        chunk = memoryview(b"")
        for member in self.members:
            at, end = member.offset, member.offset + member.size
            if not member.size:
                yield member.name, memoryview(b"")
            while at < end:
                while position + len(chunk) <= at:
                    position += len(chunk)
                    chunk = memoryview(next(rest, b""))
                    if not chunk:
                        return
                piece = chunk[at - position : end - position]
                yield member.name, piece
                at += len(piece)


def plan_layers(number: int, files: Mapping[str, FileEntry], least: int = LAYER_BYTES) -> list[Layer]:
    """Return the layers of a version; another one begins after ``least`` bytes, or more if there would be many."""
    least = max(least, sum(entry.size for entry in files.values()) // _MOST_LAYERS)
    runs: list[list[str]] = [[]]
    size = 0
    for name in sorted(files):
        if size >= least:
            runs.append([])
            size = 0
        runs[-1].append(name)
        size += files[name].size
    return [_layer(number, {name: files[name].size for name in run}) for run in runs]


def layers_of(number: int, files: Mapping[str, FileEntry], counts: Sequence[int]) -> list[Layer]:
    """Return the layers of a version that has so many files in each; ``ValueError`` if these are not all its files."""
    if sum(counts) != len(files) or any(count < 1 for count in counts):
        raise ValueError("its layers have other files")
    names = iter(sorted(files))
    return [_layer(number, {name: files[name].size for name in islice(names, count)}) for count in counts]


def _layer(number: int, sizes: Mapping[str, int]) -> Layer:
    members, there, offset = [], set(), 0
    for name, size in sizes.items():
        path = PurePosixPath(str(number), name)
        folders = [folder.as_posix() for folder in reversed(path.parents) if folder.as_posix() not in ("", ".")]
        header = b"".join(_header(folder, None) for folder in folders if folder not in there)
        there.update(folders)
        header += _header(path.as_posix(), size)
        offset += len(header)
        members.append(Member(name, header, offset, size))
        offset += size + -size % _BLOCK
    return Layer(tuple(members), offset + len(_END))


def _header(name: str, size: int | None) -> bytes:
    """Return the header of a file of ``size`` bytes, or of a directory."""
    info = tarfile.TarInfo(name)
    info.type, info.mode = (tarfile.DIRTYPE, 0o755) if size is None else (tarfile.REGTYPE, 0o644)
    info.size = size or 0
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
