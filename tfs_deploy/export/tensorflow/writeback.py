# SPDX-License-Identifier: Apache-2.0
"""Ask the kernel to start writing a file to disk early, so that a later fsync has little left to do."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, Final

_SYNC_FILE_RANGE_WRITE: Final = 2


def start_writeback(descriptor: int) -> None:
    """Start writing dirty pages (sync_file_range(2)) without waiting or any guarantee.

    Nothing happens where the system or the file system has no such call.
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)


@functools.cache
def _sync_file_range() -> Any:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call.restype = ctypes.c_int
    return call
