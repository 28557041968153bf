# SPDX-License-Identifier: Apache-2.0
"""Memory that requests in flight may take for values they did not send."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from tfs_deploy.codec.decode import MAX_FILLED
from tfs_deploy.errors import ResourceExhaustedError
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

#: four requests that take all that one may
_LIMIT: Final = 4 * MAX_FILLED


class FilledBudget:
    """Bytes that all requests in flight may be filled to beyond what they sent; safe to use from many threads."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Take ``count`` bytes for as long as the context lasts; raises ``ResourceExhaustedError``."""
        with self._lock:
            if self._used + count > self._limit:
                raise ResourceExhaustedError(
                    f"requests in flight ask for {size_text(self._used + count)} of values they did not send; "
                    f"the limit is {size_text(self._limit)}"
                )
            self._used += count
        try:
            yield
        finally:
            with self._lock:
                self._used -= count
