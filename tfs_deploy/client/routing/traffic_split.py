# SPDX-License-Identifier: Apache-2.0
"""The traffic split in force: fixed by code, or read from the traffic file."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.json_files import is_damage
from tfs_deploy.state.traffic import read_traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: seconds between two reads of the file
_INTERVAL: Final = 0.2
_LOG = logging.getLogger(__name__)


class FixedTrafficSplit:
    """A split that code sets and may replace."""

    #: there is no rollout that would judge the requests
    experimenting: Final = False

    def __init__(self, weights: Mapping[Any, float], copies: Mapping[Any, float]) -> None:
        self.weights: dict[Any, float] = dict(weights)
        self.copies: dict[Any, float] = dict(copies)

    def refresh(self) -> None:
        """Do nothing: only code changes the split."""


class FileTrafficSplit:
    """One model's part of a traffic file, at most 0.2 s old.

    Without the file, or without the model in it, all requests go to ``fallback``. If the file is damaged later, the
    split stays as it was; a file that is damaged from the start raises ``EnvironmentFault``.
    """

    def __init__(
        self, path: Path | str, model: str, fallback: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = Path(path)
        self._model = model
        self._fallback = fallback
        self._clock = clock
        self._read_at = -_INTERVAL
        self._stamp: tuple[int, int, int] | None = None
        self._told = ""
        self.weights: dict[Any, float] = {fallback: 100.0}
        self.copies: dict[Any, float] = {}
        self.refresh()

    @property
    def experimenting(self) -> bool:
        """Whether any requests go to another label than the fallback."""
        return bool(self.copies) or any(weight > 0 for label, weight in self.weights.items() if label != self._fallback)

    def refresh(self) -> None:
        """Read the file again if it may have changed; keep the current split while the file is damaged."""
        now = self._clock()
        if now - self._read_at < _INTERVAL:
            return
        first = self._read_at < 0
        self._read_at = now
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:  # there is none, or the reading of it says what is wrong
            stamp = None
        if stamp == self._stamp and not first:
            return
        try:
            traffic = read_traffic(self.path)
        except EnvironmentFault as error:
            if first:
                raise
            if error.message != self._told:
                _LOG.warning("%s; the split stays %s", error.message, self.weights)
                self._told = error.message
            if not is_damage(error):  # such as too many open files: the same file may be readable next time
                return
        else:
            self._told = ""
            self.weights = traffic.models.get(self._model) or {self._fallback: 100.0}
            self.copies = traffic.copies.get(self._model, {})
        self._stamp = stamp
