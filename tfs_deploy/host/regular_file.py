# SPDX-License-Identifier: Apache-2.0
"""Reading files that others made: a pipe, which hangs its reader, or a device without an end is refused at once."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import BinaryIO


def open_regular(path: str | os.PathLike[str], *, buffering: int = -1) -> BinaryIO:
    """Open a file for reading; ``OSError`` if it cannot be opened, or is not a regular file."""
    if "\0" in os.fspath(path):
        raise OSError(errno.EINVAL, "its name holds the character NUL", path)
    return open(path, "rb", buffering=buffering, opener=_regular)


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file; ``OSError`` if it cannot be read, or is not a regular file."""
    with open_regular(path) as file:
        return file.read()


def _regular(path: str, flags: int) -> int:
    if sys.platform != "win32":  # or the opening of a pipe waits for whoever writes to it
        flags |= os.O_NONBLOCK
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        # a directory has an error of its own, which callers and people know
        code = errno.EISDIR if os.path.isdir(path) else errno.EINVAL  # noqa: PTH112 - as opened
        raise OSError(code, os.strerror(code) if code == errno.EISDIR else "not a regular file", path)
    return descriptor
