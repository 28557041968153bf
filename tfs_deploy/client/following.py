"""Following the traffic file: the split in force, looked up again now and then."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.client.traffic import read_traffic
from tfs_deploy.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Callable

#: seconds between two looks at the file
_INTERVAL: Final = 0.2
_LOG = logging.getLogger("tfs_deploy.client.routing")


class TrafficFollower:
    """One model's part of a traffic file, at most 0.2 s old.

    Without file, or without the model in it, everything goes to ``fallback``. A file that is damaged later leaves the
    split as it was; one that is damaged from the beginning raises ``EnvironmentFault``.
    """

    def __init__(
        self, path: Path | str, model: str, fallback: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = Path(path)
        self._model = model
        self._fallback = fallback
        self._clock = clock
        self._looked = -_INTERVAL
        self._stamp: tuple[int, int, int] | None = None
        self.weights = {fallback: 100.0}
        self.copies: dict[str, float] = {}
        self.look()

    @property
    def experimenting(self) -> bool:
        """Whether anything but the fallback is asked."""
        return bool(self.copies) or any(weight > 0 for label, weight in self.weights.items() if label != self._fallback)

    def look(self) -> None:
        """Read the file again if it may have changed; keep the split in force while it is damaged."""
        now = self._clock()
        if now - self._looked < _INTERVAL:
            return
        first = self._looked < 0
        self._looked = now
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        except FileNotFoundError:
            stamp = None
        if stamp == self._stamp and not first:
            return
        try:
            traffic = read_traffic(self.path)
        except EnvironmentFault as error:
            if first:
                raise
            _LOG.warning("%s; the split stays %s", error.message, self.weights)
        else:
            self.weights = traffic.models.get(self._model) or {self._fallback: 100.0}
            self.copies = traffic.copies.get(self._model, {})
        self._stamp = stamp
