# SPDX-License-Identifier: Apache-2.0
"""The request to stop that a signal makes."""

from __future__ import annotations

import contextlib
import queue
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.host.signals import ending_signals_handled

if TYPE_CHECKING:
    from collections.abc import Iterator

#: seconds; a signal that comes just before a wait begins does not end that wait, its handler runs after it
_LONGEST_WAIT: Final = 0.5


class StopRequest:
    """An event that a signal handler may set.

    ``threading.Event`` would not do: its ``set`` may wait for ever for a lock that the interrupted thread holds.
    """

    def __init__(self) -> None:
        self._asked = False
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()  # put is reentrant

    def set(self) -> None:
        """Ask to stop."""
        self._asked = True
        self._bell.put(None)

    def is_set(self) -> bool:
        """Tell whether the process was asked to stop."""
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Wait for the request, so many seconds at most; return whether it was made."""
        end = time.monotonic() + seconds
        while not self._asked and (left := end - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=min(left, _LONGEST_WAIT))
        return self._asked


@contextlib.contextmanager
def stop_signals() -> Iterator[StopRequest]:
    """Set the request yielded on SIGTERM, SIGINT or SIGHUP."""
    stop = StopRequest()
    with ending_signals_handled(lambda *_: stop.set()):
        yield stop
