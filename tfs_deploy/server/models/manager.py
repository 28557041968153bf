# SPDX-License-Identifier: Apache-2.0
"""Loads and unloads model versions until what is served is what is aspired.

(core/aspired_versions_manager.cc, core/basic_manager.cc, core/loader_harness.cc)

The life of a version. The upper line is its ``State``, which clients see; the lower one its ``Phase``, by which the
manager decides:

    aspire        _load            _serve            _unload
    ------> START ------> LOADING --------> AVAILABLE -------> UNLOADING ------> END -------> forgotten
            NEW           BUSY              READY              BUSY              ENDED  _flush
             |              |                                                      ^
             |              +-- StatusError, when no retry is left ----------------+
             +-- no longer aspired before it was loaded: _flush -------------------+

What a method may assume, and what its caller may:

- ``aspire`` may be called at any time and from any thread; it takes effect once ``start`` was called, and never after
  ``stop``.
- ``latest`` and ``specific`` take no lock. They return a version from just before it is AVAILABLE until just after it
  is UNLOADING: a client that has seen AVAILABLE can call it.
- ``_load`` is called with a version that was NEW and aspired, ``_unload`` with one that was READY and no longer
  aspired. It is BUSY meanwhile, so that it is not chosen a second time.
- ``_flush`` forgets a version at its END only when it is no longer aspired. Aspired again before that, it starts over
  once it is forgotten: a failed version is tried again only after it was withdrawn.
- ``stop`` may be called without ``start``. It waits for loads in progress, but not for their retries, and returns when
  every version that was served is at its END.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tfs_deploy.errors import InternalError, NotFoundError, StatusError
from tfs_deploy.server.models.availability_policy import Action, Phase, Snapshot, next_action
from tfs_deploy.server.models.states import EventBus, ServableId, State, VersionState
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from tfs_deploy.savedmodel.versions import VersionDir

_log = logging.getLogger(__name__)

#: how often the manager decides what to do
_INTERVAL_SECONDS = 0.1


class Servable(Protocol):
    """A loaded version."""

    def close(self) -> None:
        """Wait for requests in flight and free everything."""


Loader = Callable[[ServableId, Path], Servable]


@dataclass(slots=True)
class _Harness:
    """One managed version."""

    id: ServableId
    path: Path
    aspired: bool = True
    phase: Phase = Phase.NEW
    servable: Servable | None = None
    retries_cancelled: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class ManagerOptions:
    """Threads of 0 load or unload one version at a time; retries come after the first attempt."""

    load_threads: int = 0
    unload_threads: int = 0
    load_retries: int = 5
    retry_seconds: float = 60.0


class AspiredVersionsManager:
    """Keeps a map of served versions; requests read it without waiting for loads."""

    def __init__(self, loader: Loader, bus: EventBus, options: ManagerOptions) -> None:
        self._loader = loader
        self._bus = bus
        self._options = options
        self._lock = threading.Lock()
        self._pending: dict[str, list[Sequence[VersionDir]]] = {}
        self._managed: dict[str, dict[int, _Harness]] = {}
        self._serving: dict[str, dict[int, Servable]] = {}
        self._latest: dict[str, tuple[int, Servable]] = {}
        self._stopping = threading.Event()
        self._loads = _pool(options.load_threads, "load")
        self._unloads = _pool(options.unload_threads, "unload")
        self._thread = threading.Thread(target=self._run, name="manager", daemon=True)

    # Requests

    def latest(self, name: str) -> tuple[int, Servable]:
        """Return the highest version that is served; raises ``NotFoundError`` without one."""
        found = self._latest.get(name)
        if found is None:
            raise NotFoundError(f"Servable not found for request: Latest({name})")
        return found

    def specific(self, name: str, version: int) -> tuple[int, Servable]:
        """Return one version; raises ``NotFoundError`` if it is not served."""
        servable = self._serving.get(name, {}).get(version)
        if servable is None:
            raise NotFoundError(f"Servable not found for request: Specific({name}, {version})")
        return version, servable

    # Control

    def aspire(self, name: str, versions: Sequence[VersionDir]) -> None:
        """Ask for exactly these versions of a model; takes effect in the manager's thread."""
        with self._lock:
            requests = self._pending.setdefault(name, [])
            # a removal is carried out even if the model is wanted again right after it: a reload that waits for the
            # new one waits for its events
            if requests and requests[-1]:
                requests.pop()
            requests.append(tuple(versions))

    def start(self) -> None:
        """Begin to load and unload."""
        self._thread.start()

    @contextlib.contextmanager
    def many_loads_at_once(self, threads: int) -> Iterator[None]:
        """Load with this many threads for a while (core/load_servables_fast.cc)."""
        usual, self._loads = self._loads, _pool(threads, "initial-load")
        boosted = self._loads
        try:
            yield
        finally:
            self._loads = usual
            if boosted is not None:
                boosted.shutdown(wait=False)

    def stop(self) -> None:
        """Stop working, give up loads that wait for a retry, and unload everything."""
        self._stopping.set()
        with self._lock:
            for harness in self._harnesses():
                harness.retries_cancelled.set()
        if self._thread.is_alive():
            self._thread.join()
        for pool in (self._loads, self._unloads):
            if pool is not None:
                pool.shutdown()
        for harness in self._harnesses():
            if harness.phase is Phase.READY:
                self._unload(harness)

    def _harnesses(self) -> list[_Harness]:
        return [harness for versions in self._managed.values() for harness in versions.values()]

    def _run(self) -> None:
        while not self._stopping.wait(_INTERVAL_SECONDS):
            try:
                self._work()
            except Exception:  # noqa: BLE001, PERF203 - logged; without this thread no version would be loaded
                _log.exception("managing the versions failed; it goes on")

    def _work(self) -> None:
        self._flush()
        if self._take_requests():
            return  # new versions stay at START until the next round, as in the server
        while not self._stopping.is_set() and (action := self._next()) is not None:
            self._perform(*action)

    def _flush(self) -> None:
        """Forget versions that have ended or never began, and are no longer wanted."""
        with self._lock:
            for name, versions in list(self._managed.items()):
                for number, harness in list(versions.items()):
                    if not harness.aspired and harness.phase in (Phase.NEW, Phase.ENDED):
                        del versions[number]
                        if harness.phase is Phase.NEW:
                            self._publish(harness, State.END)
                if not versions:
                    del self._managed[name]

    def _take_requests(self) -> bool:
        """Mark versions as aspired or not; return whether there are new ones."""
        started: list[_Harness] = []
        with self._lock:
            for name, requests in list(self._pending.items()):
                managed = self._managed.setdefault(name, {})
                wanted = {version.number: version.path for version in requests[0]}
                if any(not managed[number].aspired for number in wanted if number in managed):
                    continue  # wanted again while it is being unloaded: it comes back once it is gone
                requests.pop(0)
                if not requests:
                    del self._pending[name]
                for number, harness in managed.items():
                    if number not in wanted:
                        harness.aspired = False
                        harness.retries_cancelled.set()
                for number in sorted(wanted):
                    if number not in managed:
                        managed[number] = _Harness(ServableId(name, number), wanted[number])
                        started.append(managed[number])
        for harness in started:
            self._publish(harness, State.START)
        return bool(started)

    def _next(self) -> tuple[Action, _Harness] | None:
        """Choose one action over all models; unloading goes before loading."""
        chosen: tuple[Action, _Harness] | None = None
        with self._lock:
            for versions in self._managed.values():
                snapshots = [Snapshot(number, each.phase, each.aspired) for number, each in versions.items()]
                action = next_action(snapshots)
                if action is not None and (chosen is None or (chosen[0].load and not action.load)):
                    chosen = action, versions[action.version]
            if chosen is not None:
                chosen[1].phase = Phase.BUSY
        return chosen

    def _perform(self, action: Action, harness: _Harness) -> None:
        work, pool = (self._load, self._loads) if action.load else (self._unload, self._unloads)
        if pool is not None:
            with contextlib.suppress(RuntimeError):  # the pool was shut down in between
                pool.submit(work, harness)
                return
        work(harness)

    def _load(self, harness: _Harness) -> None:
        self._publish(harness, State.LOADING)
        _log.info("loading %s version %d from %s", harness.id.name, harness.id.version, harness.path)
        started = time.monotonic()
        try:
            harness.servable = self._load_with_retries(harness)
        except StatusError as error:
            _log.error("loading %s version %d failed: %s", harness.id.name, harness.id.version, _status_text(error))
            self._end(harness, error)
            return
        except Exception as error:  # noqa: BLE001 - logged; see below
            # whatever a loader raises, the version must reach its end: a version that loads forever blocks the next
            _log.exception("loading %s version %d failed", *_id(harness))
            self._end(harness, InternalError(f"{type(error).__name__}: {error}"))
            return
        self._serve(harness)
        _log.info("serving %s version %d (loaded in %.2f s)", *_id(harness), time.monotonic() - started)
        self._publish(harness, State.AVAILABLE)

    def _load_with_retries(self, harness: _Harness) -> Servable:
        attempt = 0
        while True:
            try:
                return self._loader(harness.id, harness.path)
            except StatusError as error:  # noqa: PERF203 - the loop is the retry
                left = self._options.load_retries - attempt
                if left <= 0 or harness.retries_cancelled.is_set():
                    raise
                _log.warning(
                    "loading %s version %d failed, %d more attempts, the next in %g s: %s",
                    *(*_id(harness), left, self._options.retry_seconds, _status_text(error)),
                )
                if harness.retries_cancelled.wait(self._options.retry_seconds):
                    raise
                attempt += 1

    def _unload(self, harness: _Harness) -> None:
        self._publish(harness, State.UNLOADING)
        self._withdraw(harness)
        try:
            if harness.servable is not None:
                harness.servable.close()
            _log.info("unloaded %s version %d", *_id(harness))
        except Exception:  # noqa: BLE001 - logged; the version must reach its end
            _log.exception("unloading %s version %d failed", *_id(harness))
        harness.servable = None
        self._end(harness, None)

    def _end(self, harness: _Harness, error: StatusError | None) -> None:
        with self._lock:
            harness.phase = Phase.ENDED
        self._publish(harness, State.END, error)

    def _serve(self, harness: _Harness) -> None:
        with self._lock:
            harness.phase = Phase.READY
            assert harness.servable is not None
            serving = dict(self._serving.get(harness.id.name, {}))
            serving[harness.id.version] = harness.servable
            self._set_serving(harness.id.name, serving)

    def _withdraw(self, harness: _Harness) -> None:
        with self._lock:
            serving = dict(self._serving.get(harness.id.name, {}))
            serving.pop(harness.id.version, None)
            self._set_serving(harness.id.name, serving)

    def _set_serving(self, name: str, serving: dict[int, Servable]) -> None:
        """Replace whole maps, so that requests can read them without a lock."""
        self._serving[name] = serving
        if serving:
            highest = max(serving)
            self._latest[name] = highest, serving[highest]
        else:
            self._latest.pop(name, None)

    def _publish(self, harness: _Harness, state: State, error: StatusError | None = None) -> None:
        self._bus.publish(VersionState(harness.id, state, error))


def _pool(threads: int, name: str) -> ThreadPoolExecutor | None:
    return ThreadPoolExecutor(threads, thread_name_prefix=name) if threads > 0 else None


def _id(harness: _Harness) -> tuple[str, int]:
    return harness.id.name, harness.id.version


def _status_text(error: StatusError) -> str:
    return f"{error.code.name}: {one_line(error.message)}"
