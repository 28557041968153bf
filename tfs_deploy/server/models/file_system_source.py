# SPDX-License-Identifier: Apache-2.0
"""Watches the base paths of the configured models and tells the manager which versions to serve.

(sources/storage_path/file_system_storage_path_source.cc)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.versions import VersionDir, list_versions
from tfs_deploy.server.models.version_policy import VersionPolicy, aspired_versions

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

#: takes a model's name and the versions to serve
Aspire = Callable[[str, Sequence[VersionDir]], None]


@dataclass(frozen=True, slots=True)
class WatchedModel:
    """A model's base path and the policy for the versions under it."""

    name: str
    base_path: Path
    policy: VersionPolicy


class FileSystemSource:
    """Polls in a thread of its own.

    Args:
        aspire: called for every model after each poll.
        poll_seconds: the time between polls; 0 polls once, a negative number never.
    """

    def __init__(self, aspire: Aspire, poll_seconds: int) -> None:
        self._aspire = aspire
        self._poll_seconds = poll_seconds
        self._lock = threading.Lock()
        self._models: Mapping[str, WatchedModel] = {}
        self._said: dict[str, str] = {}
        self._wake = threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="file-system-source", daemon=True)

    @property
    def names(self) -> set[str]:
        """The models that are watched now."""
        with self._lock:
            return set(self._models)

    def update(self, models: Sequence[WatchedModel]) -> None:
        """Watch these models instead; those no longer among them lose all versions at once."""
        with self._lock:
            new = {model.name: model for model in models}
            gone = [name for name in self._models if name not in new]
            self._models = new
            for name in gone:
                self._aspire(name, ())
        self._wake.set()

    def start(self) -> None:
        """Begin to poll."""
        if self._poll_seconds >= 0:
            self._thread.start()

    def stop(self) -> None:
        """Stop polling and wait for the thread."""
        self._stopped = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                self.poll()
            except Exception:  # noqa: BLE001 - logged; without this thread no version would ever be loaded again
                _log.exception("looking for versions failed; the next look is in %d s", self._poll_seconds)
            if self._poll_seconds == 0:
                return
            self._wake.wait(self._poll_seconds)

    def poll(self) -> None:
        """Look once; the first base path that cannot be listed keeps every model as it is."""
        with self._lock:
            found: list[tuple[str, list[VersionDir]]] = []
            for model in self._models.values():
                try:
                    versions = list_versions(model.base_path)
                except ModelError as error:
                    self._say(
                        model.name, f"model {model.name}: {error.message}; no model is updated until this is fixed"
                    )
                    return
                chosen = aspired_versions(model.policy, versions)
                self._report(model, chosen)
                found.append((model.name, chosen))
            for name, chosen in found:
                self._aspire(name, chosen)

    def _report(self, model: WatchedModel, chosen: list[VersionDir]) -> None:
        missing = sorted((model.policy.specific or frozenset()) - {version.number for version in chosen})
        if not chosen:
            self._say(model.name, f"model {model.name}: no version to serve under {model.base_path}")
        elif missing:
            self._say(model.name, f"model {model.name}: no version {missing} under {model.base_path}")
        else:
            self._said.pop(model.name, None)

    def _say(self, name: str, text: str) -> None:
        """Log a problem once, not with every poll."""
        if self._said.get(name) != text:
            self._said[name] = text
            _log.warning("%s", text)
