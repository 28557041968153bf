# SPDX-License-Identifier: Apache-2.0
"""The states of model versions, and waiting for a model to be served; ``manager`` draws how they follow each other.

(core/servable_state.h, core/servable_state_monitor.cc)
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfs_deploy.errors import StatusError


class State(enum.IntEnum):
    """``ModelVersionStatus.State`` (apis/get_model_status.proto)."""

    UNKNOWN = 0
    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


_SETTLED = (State.AVAILABLE, State.END)


@dataclass(frozen=True, slots=True, order=True)
class ServableId:
    """One version of one model; ``str`` is how the server's messages write it."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version}}}"


@dataclass(frozen=True, slots=True)
class VersionState:
    """A version's state; ``error`` is set if it ended because of one."""

    id: ServableId
    state: State
    error: StatusError | None = None


Listener = Callable[[VersionState], None]


class EventBus:
    """Tells all listeners of every change of state, one change at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` for each change from now on, until the returned function is called."""
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._unsubscribe(listener)

    def _unsubscribe(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.remove(listener)

    def publish(self, event: VersionState) -> None:
        """Tell all listeners of a change."""
        with self._lock:
            for listener in self._listeners:
                listener(event)


class StateMonitor:
    """Remembers the last state of every version; versions that ended stay listed."""

    def __init__(self, bus: EventBus) -> None:
        self._changed = threading.Condition()
        self._states: dict[str, dict[int, VersionState]] = {}
        self._unsubscribe = bus.subscribe(self._record)

    def close(self) -> None:
        """Stop listening."""
        self._unsubscribe()

    def _record(self, event: VersionState) -> None:
        with self._changed:
            self._states.setdefault(event.id.name, {})[event.id.version] = event
            self._changed.notify_all()

    def versions(self, name: str) -> list[VersionState]:
        """List the states of a model's versions, highest first."""
        with self._changed:
            known = self._states.get(name, {})
            return [known[number] for number in sorted(known, reverse=True)]

    def version(self, name: str, number: int) -> VersionState | None:
        """Return the state of one version."""
        with self._changed:
            return self._states.get(name, {}).get(number)

    def wait_until_available(
        self, names: Iterable[str], *, give_up: Callable[[], bool] | None = None
    ) -> list[VersionState] | None:
        """Block until each model has a version that is AVAILABLE or at its END; return these, ordered by id.

        It waits without a limit, as the server does; ``None`` once ``give_up`` says so.
        """
        wanted = sorted(set(names))
        with self._changed:
            while True:
                reached = [self._first_arrival(name) for name in wanted]
                if all(state is not None for state in reached):
                    return [state for state in reached if state is not None]
                if give_up is not None and give_up():
                    return None
                self._changed.wait(0.2 if give_up is not None else None)

    def wait_until_settled(self, servables: Iterable[ServableId]) -> list[VersionState]:
        """Block until each of these versions is AVAILABLE or at its END; return their states."""
        wanted = list(servables)
        with self._changed:
            while True:
                known = (self._states.get(servable.name, {}).get(servable.version) for servable in wanted)
                settled = [state for state in known if state is not None and state.state in _SETTLED]
                if len(settled) == len(wanted):
                    return settled
                self._changed.wait()

    def _first_arrival(self, name: str) -> VersionState | None:
        known = self._states.get(name, {})
        arrived = (known[number] for number in sorted(known, reverse=True))
        return next((state for state in arrived if state.state in _SETTLED), None)
