# SPDX-License-Identifier: Apache-2.0
"""Checksums of large files, computed while TensorFlow writes them.

A checkpoint's data files are only ever appended to (tensor_bundle.cc: BundleWriter), so what is there can be hashed
already, and the variables at its head even before (``checkpoint_checksum``). The manifest then costs no time of its
own; reading the files again would double that of the save.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import ModelError
from tfs_deploy.export.tensorflow.writeback import start_writeback
from tfs_deploy.savedmodel.formats.bundle import read_bundle
from tfs_deploy.savedmodel.manifest import FileEntry

if TYPE_CHECKING:
    import io

    from typing_extensions import Self

    from tfs_deploy.export.tensorflow.checkpoint_checksum import Head, HeadHasher

_APPENDED: Final = re.compile(r".*\.data-\d{5}-of-\d{5}(\.tempstate\d+)?")
_PAUSE_S: Final = 0.002
#: hashed in one go without the interpreter lock, which other threads release only every few milliseconds
_CHUNK: Final = 16 << 20
_WRITEBACK_EVERY: Final = 16 << 20


class _Growing:
    """The checksum of one file so far; it stays with the file when that is renamed.

    ``head_hasher``: may have hashed the beginning already; whether the file begins so is checked at the end.
    """

    def __init__(self, file: io.FileIO, buffer: memoryview, head_hasher: HeadHasher | None) -> None:
        self._file = file
        self._head_hasher = head_hasher
        self._head: Head | None = None
        self._digest = hashlib.sha256()
        self._buffer = buffer
        self._started = 0
        self.size = 0

    def follow(self) -> None:
        """Hash what has been appended, and have the kernel begin to write it to disk."""
        written = os.fstat(self._file.fileno()).st_size
        if written - self._started >= _WRITEBACK_EVERY:
            self._started = written
            start_writeback(self._file.fileno())
        if self._head_hasher is not None and self._head_hasher.busy():
            return
        self._take_head()
        while count := self._file.readinto(self._buffer):
            self._digest.update(self._buffer[:count])
            self.size += count

    def finish(self, version_dir: Path, path: Path) -> FileEntry | None:
        """Hash the rest and return the checksum of ``path``; ``None`` if the file does not begin with its head."""
        self._take_head()
        self.follow()
        if self._head is not None and not _leads(self._head, version_dir, path):
            return None
        return FileEntry(self._digest.hexdigest(), self.size)

    def _take_head(self) -> None:
        """Continue after what was hashed ahead."""
        head_hasher, self._head_hasher = self._head_hasher, None
        self._head = self._head if head_hasher is None else head_hasher.head()
        if head_hasher is not None and self._head is not None:
            self._digest = self._head.digest.copy()
            self.size = self._head.size
            self._file.seek(self.size)


class Hasher:
    """Follows the data files that appear below a directory, in a thread, until the block ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[tuple[int, int], _Growing] = {}
        self._buffer = memoryview(bytearray(_CHUNK))  # one for all files: they are read one after the other
        self._head_hasher: HeadHasher | None = None
        self._opened = contextlib.ExitStack()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tfs-deploy-hasher", daemon=True)
        self.entries: dict[str, FileEntry] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, failed: type[BaseException] | None, *exc_info: object) -> None:
        self._done.set()
        self._thread.join()
        with self._opened:
            if failed is None:
                self._finish()

    def expect(self, head_hasher: HeadHasher) -> None:
        """Take the head of the next data file from ``head_hasher``, which is closed at the end."""
        self._opened.callback(head_hasher.close)
        self._head_hasher = head_hasher

    def _finish(self) -> None:
        """Pair the checksums with the final names of the files."""
        for path in self._directory.rglob("*"):
            growing = self._files.get(_identity(path.stat())) if _APPENDED.fullmatch(path.name) else None
            entry = None if growing is None else growing.finish(self._directory, path)
            if entry is not None and entry.size == path.stat().st_size:
                self.entries[path.relative_to(self._directory).as_posix()] = entry

    def _follow(self) -> None:
        while not self._done.wait(_PAUSE_S):
            # A file may be renamed between listing and opening; what is not followed now is hashed afterwards.
            with contextlib.suppress(OSError):
                self._open_new()
                for growing in self._files.values():
                    growing.follow()

    def _open_new(self) -> None:
        for path in self._directory.glob("variables/**/*.data-*"):
            if _APPENDED.fullmatch(path.name) and _identity(path.stat()) not in self._files:
                file = self._opened.enter_context(path.open("rb", buffering=0))
                self._files[_identity(os.fstat(file.fileno()))] = _Growing(file, self._buffer, self._head_hasher)
                self._head_hasher = None


def _leads(head: Head, version_dir: Path, path: Path) -> bool:
    try:
        bundle = read_bundle(version_dir)
    except ModelError:
        return False  # a damaged index proves nothing; the export validates it later
    return bundle is not None and head.leads(bundle, path)


def _identity(stat: Any) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
