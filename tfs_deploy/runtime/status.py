# SPDX-License-Identifier: Apache-2.0
"""A ``TF_Status`` for each thread, and its content as one of the toolkit's errors."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tfs_deploy.errors import Code, StatusError, status_error

if TYPE_CHECKING:
    from tfs_deploy.runtime.library import Library


class TfStatus:
    """Owns one ``TF_Status``; ``raw`` is what the C functions take."""

    __slots__ = ("_library", "raw")

    def __init__(self, library: Library) -> None:
        self._library = library
        self.raw: int = library.TF_NewStatus()

    def error(self) -> StatusError | None:
        """Return what the last call reported as an error with TensorFlow's own code and text, ``None`` if it is OK."""
        code: int = self._library.TF_GetCode(self.raw)
        if code == Code.OK:
            return None
        return status_error(code, self._library.TF_Message(self.raw).decode(errors="replace"))

    def check(self) -> None:
        """Raise the error that the last call reported."""
        error = self.error()
        if error is not None:
            raise error

    def __del__(self) -> None:
        self._library.TF_DeleteStatus(self.raw)


class ThreadStatus(threading.local):
    """One status for each thread that asks, so that the hot path allocates none."""

    def __init__(self, library: Library) -> None:
        self.status = TfStatus(library)
