"""The split in force: given in code, or followed in the traffic file, looked up again now and then."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.traffic import read_traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: seconds between two looks at the file
_INTERVAL: Final = 0.2
_LOG = logging.getLogger("tfs_deploy.client.routing.router")


class FixedTraffic:
    """A split that code gives and may replace."""

    #: nobody judges it: there is no rollout
    experimenting: Final = False

    def __init__(self, weights: Mapping[Any, float], copies: Mapping[Any, float]) -> None:
        self.weights: dict[Any, float] = dict(weights)
        self.copies: dict[Any, float] = dict(copies)

    def look(self) -> None:
        """Nothing changes by itself."""


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
        self.weights: dict[Any, float] = {fallback: 100.0}
        self.copies: dict[Any, float] = {}
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
