# SPDX-License-Identifier: Apache-2.0
"""Requests that httpx and httpcore do not log: addresses that registries redirect to are signed, and so are secrets."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_LOGGERS: Final = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")
_thread = threading.local()


class _OfOthers(logging.Filter):
    """Lets through what is logged in threads that are not inside ``unlogged``."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be logged."""
        del record
        return not getattr(_thread, "inside", False)


_FILTER: Final = _OfOthers()


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep what this thread requests until the block ends out of the log."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # the same one once only
    _thread.inside = True
    try:
        yield
    finally:
        _thread.inside = False
