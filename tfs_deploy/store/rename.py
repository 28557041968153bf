# SPDX-License-Identifier: Apache-2.0
"""Rename a directory without ever replacing another."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1
#: errors of the call if the kernel or the file system does not support the flag
_UNSUPPORTED: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
_TAKEN: Final = frozenset({errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR})


def rename_new(source: Path, target: Path) -> None:
    """Rename directory ``source`` to ``target`` in one step; ``FileExistsError`` if ``target`` exists.

    With renameat2(RENAME_NOREPLACE) the kernel refuses whatever is there. Where it is missing (other systems, some
    network file systems) plain rename(2) still refuses files and directories that hold something, so a published
    version cannot be replaced; an empty directory is looked for first.
    """
    number = _renameat2(os.fsencode(source), os.fsencode(target))
    if number in _UNSUPPORTED:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        try:
            source.rename(target)
        except OSError as error:
            number = error.errno or errno.EIO
        else:
            return
    if number == 0:
        return
    if number in _TAKEN:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    raise OSError(number, os.strerror(number), str(source), None, str(target))


def _renameat2(source: bytes, target: bytes) -> int:
    """Return 0, or the errno of the failure."""
    call = _libc_renameat2()
    if call is None:
        return errno.ENOSYS
    if call(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE) == 0:
        return 0
    return ctypes.get_errno()


@functools.cache
def _libc_renameat2() -> Any:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    call.restype = ctypes.c_int
    return call
