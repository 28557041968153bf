# SPDX-License-Identifier: Apache-2.0
"""The server's core: applies a ModelServerConfig in the server's order and finds the servable of a request.

(model_servers/server_core.cc)
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnavailableError,
    UnknownError,
)
from tfs_deploy.server.models.config_checks import check_models, check_platforms_kept, watched_models
from tfs_deploy.server.models.file_system_source import FileSystemSource
from tfs_deploy.server.models.manager import AspiredVersionsManager, Loader, ManagerOptions, Servable
from tfs_deploy.server.models.states import EventBus, State, StateMonitor, VersionState
from tfs_deploy.server.models.version_labels import assign_labels, resolve_label

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerCoreOptions:
    """The flags that concern the core."""

    poll_seconds: int = 1
    allow_labels_for_unavailable: bool = False
    give_way_seconds: float = 10.0
    manager: ManagerOptions = field(default_factory=ManagerOptions)


class ServerCore:
    """Owns the source, the manager and the labels."""

    def __init__(self, loader: Loader, options: ServerCoreOptions) -> None:
        self._options = options
        self._bus = EventBus()
        self.states = StateMonitor(self._bus)
        self.manager = AspiredVersionsManager(loader, self._bus, options.manager)
        self._source = FileSystemSource(self.manager.aspire, options.poll_seconds)
        self._config_lock = threading.Lock()
        self._reloads = itertools.count(1)
        #: when each reload that has not ended came, by its number
        self._came: dict[int, float] = {}
        self._config: Any = protos.ModelServerConfig()
        self._started = False
        self._stopping = threading.Event()
        self._labels: dict[str, dict[str, int]] = {}

    # Requests

    def find(self, name: str, version: int | None, label: str | None) -> tuple[int, Servable]:
        """Return the version and servable that a ModelSpec means.

        Raises:
            InvalidArgumentError: the name is empty, or the label unknown.
            NotFoundError: that version is not served.
        """
        if not name:
            raise InvalidArgumentError("ModelSpec has no name specified.")
        if version is not None:
            return self.manager.specific(name, version)
        if label is not None:
            return self.manager.specific(name, resolve_label(self._labels, name, label))
        return self.manager.latest(name)

    def serves(self, name: str) -> bool:
        """Tell whether any version of a model is served."""
        return any(state.state is State.AVAILABLE for state in self.states.versions(name))

    # Control

    def reload(self, config: Any) -> None:
        """Apply a config: validate, adopt, move labels, then start and stop models, then wait for the new ones.

        The order is the server's, and so are its consequences: a label that is refused leaves all models as they are,
        and a config stays adopted although its models were refused. One thing is not the server's: a reload that waits
        for a model without any version gives way to one that has waited behind it for a while, where the server would
        never take a config again.

        Raises:
            StatusError: with the server's code and text.
        """
        reload = next(self._reloads)
        self._came[reload] = time.monotonic()
        try:
            self._reload(config, reload)
        finally:
            del self._came[reload]

    def _reload(self, config: Any, reload: int) -> None:
        with self._config_lock:
            _check_transition(self._config, config)
            if config.WhichOneof("config") is None:
                _log.info("the new config is empty: nothing changes")
                return
            models = config.model_config_list.config
            check_models(models)
            check_platforms_kept(self._config.model_config_list.config, models)
            self._config = protos.ModelServerConfig()
            self._config.CopyFrom(config)
            self._labels = assign_labels(
                {model.name: dict(model.version_labels) for model in models},
                self._labels,
                is_available=self._is_available,
                allow_unavailable=self._options.allow_labels_for_unavailable,
            )
            self._apply(models, reload)
            _check_logging(models)

    def _apply(self, models: Sequence[Any], reload: int) -> None:
        watched = watched_models(models)
        monitor = StateMonitor(self._bus)
        try:
            new = {model.name for model in watched} - self._source.names
            self._source.update(watched)
            what = "model(s)" if self._started else "servable(s)"

            def give_up() -> bool:
                if self._stopping.is_set():
                    return True
                behind = [came for number, came in list(self._came.items()) if number > reload]
                long = bool(behind) and time.monotonic() - min(behind) >= self._options.give_way_seconds
                return long and not all(monitor.versions(name) for name in new)

            if self._started:
                reached = monitor.wait_until_available(new, give_up=give_up)
            else:
                reached = self._first_load(new, monitor, give_up)
        finally:
            monitor.close()
        if reached is None:
            if self._stopping.is_set():
                raise UnavailableError("the server stops before all models are available")
            empty = sorted(name for name in new if not monitor.versions(name))
            raise AbortedError(f"a newer config replaced this one, which waited for a version of {', '.join(empty)}")
        check_reached(reached, what)

    def _first_load(
        self, names: set[str], monitor: StateMonitor, give_up: Callable[[], bool]
    ) -> list[VersionState] | None:
        self._started = True
        with self.manager.many_loads_at_once(4 * (os.cpu_count() or 1)):
            self.manager.start()
            self._source.start()
            return monitor.wait_until_available(names, give_up=give_up)

    def _is_available(self, model: str, version: int) -> bool:
        state = self.states.version(model, version)
        return state is not None and state.state is State.AVAILABLE

    def release(self) -> None:
        """Make a reload that waits for models give up."""
        self._stopping.set()

    def stop(self) -> None:
        """Release a reload that waits, stop polling, unload everything."""
        self.release()
        self._source.stop()
        self.manager.stop()
        self.states.close()


def check_reached(reached: list[VersionState], what: str) -> None:
    """Raise ``UnknownError`` with the server's text for versions that did not become available."""
    failed = [state for state in reached if state.state is not State.AVAILABLE]
    if failed:
        parts = "".join(f"{{{state.id}{_because(state)}}}, " for state in failed)
        raise UnknownError(f"{len(failed)} {what} did not become available: {{{parts}}}")


def _because(state: VersionState) -> str:
    return "" if state.error is None else f" due to error: {state.error.code.name}: {state.error.message}"


def _check_transition(current: Any, new: Any) -> None:
    if current.WhichOneof("config") is not None and new.WhichOneof("config") != "model_config_list":
        raise FailedPreconditionError(
            "Cannot transition to requested config. It is only legal to transition from one ModelConfigList to another."
        )
    if new.WhichOneof("config") == "custom_model_config":
        raise InvalidArgumentError("Missing custom_model_config_loader in ServerCore Options")


def _check_logging(models: Sequence[Any]) -> None:
    for model in models:
        if model.HasField("logging_config"):
            raise InvalidArgumentError("No request-logger-creator provided.")
