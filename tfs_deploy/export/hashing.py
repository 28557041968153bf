"""Checksums of large files, computed while TensorFlow still writes them.

A checkpoint's data files are only ever appended to (tensor_bundle.cc: BundleWriter), so what is there can be hashed
already. That hides the time of the manifest behind the time of the save; reading the files again would add a third.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.export.writeback import start_writeback
from tfs_deploy.savedmodel.manifest import FileEntry

if TYPE_CHECKING:
    import io

    from typing_extensions import Self

_APPENDED: Final = re.compile(r".*\.data-\d{5}-of-\d{5}(\.tempstate\d+)?")
_PAUSE_S: Final = 0.002
#: hashed at once without the interpreter lock, which other threads give back only every few milliseconds
_CHUNK: Final = 16 << 20
_WRITEBACK_EVERY: Final = 16 << 20


class _Growing:
    """The checksum of one file so far; it stays with the file when that is renamed."""

    def __init__(self, file: io.FileIO, buffer: memoryview) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._buffer = buffer
        self._started = 0
        self.size = 0

    def follow(self) -> None:
        """Hash what has been appended."""
        while count := self._file.readinto(self._buffer):
            self._digest.update(self._buffer[:count])
            self.size += count
            if self.size - self._started >= _WRITEBACK_EVERY:
                self._started = self.size
                start_writeback(self._file.fileno())

    def finish(self) -> FileEntry:
        """Hash the rest and return the checksum."""
        self.follow()
        return FileEntry(self._digest.hexdigest(), self.size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Hasher:
    """Follows the data files that appear below a directory, in a thread, until the block ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[tuple[int, int], _Growing] = {}
        self._buffer = memoryview(bytearray(_CHUNK))  # one for all files: they are read one after the other
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tfs-deploy-hasher", daemon=True)
        self.entries: dict[str, FileEntry] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, failed: type[BaseException] | None, *exc_info: object) -> None:
        self._done.set()
        self._thread.join()
        try:
            if failed is None:
                self._finish()
        finally:
            for growing in self._files.values():
                growing.close()

    def _finish(self) -> None:
        """Pair the checksums with the names that the files have in the end."""
        finished = {key: growing.finish() for key, growing in self._files.items()}
        for path in self._directory.rglob("*"):
            entry = finished.get(_identity(path.stat())) if _APPENDED.fullmatch(path.name) else None
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
                file = path.open("rb", buffering=0)
                self._files[_identity(os.fstat(file.fileno()))] = _Growing(file, self._buffer)


def _identity(stat: Any) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino
