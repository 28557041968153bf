# SPDX-License-Identifier: Apache-2.0
"""The manager, with loaders that the test controls."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tfs_deploy.errors import DataLossError, InternalError, NotFoundError
from tfs_deploy.savedmodel.versions import VersionDir
from tfs_deploy.server.models.manager import AspiredVersionsManager, ManagerOptions
from tfs_deploy.server.models.states import EventBus, ServableId, State, StateMonitor, VersionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_SECONDS = 60.0


class Model:
    """A servable that does nothing but say that it was closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.trouble: Exception | None = None

    def close(self) -> None:
        self.closed.set()
        if self.trouble is not None:
            raise self.trouble


class Loads:
    """Loads whatever is asked for, unless told otherwise, and remembers."""

    def __init__(self) -> None:
        self.models: dict[int, Model] = {}
        self.attempts: list[int] = []
        self.failing: set[int] = set()
        self.crashing: set[int] = set()
        self.gates: dict[int, threading.Event] = {}

    def __call__(self, servable: ServableId, _path: Path) -> Model:
        self.attempts.append(servable.version)
        if servable.version in self.gates:
            assert self.gates[servable.version].wait(PATIENCE_SECONDS)
        if servable.version in self.failing:
            raise DataLossError("broken")
        if servable.version in self.crashing:
            raise MemoryError("no room")
        self.models[servable.version] = Model()
        return self.models[servable.version]


class World:
    def __init__(self, **options: Any) -> None:
        self.loads = Loads()
        self.bus = EventBus()
        self.events: list[VersionState] = []
        self.bus.subscribe(self.events.append)
        self.monitor = StateMonitor(self.bus)
        self.manager = AspiredVersionsManager(self.loads, self.bus, ManagerOptions(**options))
        self.manager.start()

    def aspire(self, *numbers: int) -> None:
        self.manager.aspire("m", [VersionDir(number, Path("/m") / str(number)) for number in numbers])

    def state(self, number: int) -> State | None:
        found = self.monitor.version("m", number)
        return None if found is None else found.state

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.events
            time.sleep(0.005)

    def wait_for(self, number: int, state: State) -> None:
        self.wait(lambda: self.state(number) is state)

    def history(self, number: int) -> list[State]:
        return [event.state for event in self.events if event.id.version == number]


@pytest.fixture
def world() -> Iterator[World]:
    world = World(load_retries=0)
    yield world
    world.manager.stop()


def test_a_version_goes_through_all_states(world: World) -> None:
    world.aspire(1)
    world.wait_for(1, State.AVAILABLE)
    assert world.manager.latest("m") == (1, world.loads.models[1])
    world.aspire()
    world.wait_for(1, State.END)
    assert world.history(1) == [State.START, State.LOADING, State.AVAILABLE, State.UNLOADING, State.END]
    assert world.loads.models[1].closed.is_set()
    with pytest.raises(NotFoundError, match=r"^Servable not found for request: Latest\(m\)$"):
        world.manager.latest("m")
    with pytest.raises(NotFoundError, match=r"^Servable not found for request: Specific\(m, 1\)$"):
        world.manager.specific("m", 1)


def test_the_old_version_serves_until_the_new_one_is_ready(world: World) -> None:
    world.aspire(1)
    world.wait_for(1, State.AVAILABLE)
    world.loads.gates[2] = threading.Event()
    world.aspire(2)
    world.wait_for(2, State.LOADING)
    assert world.manager.latest("m")[0] == 1
    world.loads.gates[2].set()
    world.wait_for(1, State.END)
    assert world.manager.latest("m")[0] == 2
    order = [(event.id.version, event.state) for event in world.events]
    assert order.index((2, State.AVAILABLE)) < order.index((1, State.UNLOADING))


def test_a_failed_version_keeps_its_error_and_the_old_one_serving(world: World) -> None:
    world.loads.failing.add(2)
    world.aspire(1)
    world.wait_for(1, State.AVAILABLE)
    world.aspire(2)
    world.wait_for(2, State.END)
    failed = world.monitor.version("m", 2)
    assert failed is not None
    assert isinstance(failed.error, DataLossError)
    assert world.manager.latest("m")[0] == 1
    # it is not tried again, a new number is
    world.aspire(2)
    world.aspire(3)
    world.wait_for(3, State.AVAILABLE)
    assert world.loads.attempts == [1, 2, 3]


def test_a_loader_that_crashes_ends_its_version_and_the_next_one_loads(world: World) -> None:
    world.loads.crashing.add(1)
    world.aspire(1)
    world.wait_for(1, State.END)
    failed = world.monitor.version("m", 1)
    assert failed is not None
    assert isinstance(failed.error, InternalError)
    assert failed.error.message == "MemoryError: no room"
    world.aspire(2)
    world.wait_for(2, State.AVAILABLE)


def test_a_servable_that_crashes_as_it_closes_is_unloaded(world: World) -> None:
    world.aspire(1)
    world.wait_for(1, State.AVAILABLE)
    world.loads.models[1].trouble = OSError("disk")
    world.aspire(2)
    world.wait_for(1, State.END)
    world.wait_for(2, State.AVAILABLE)


def test_a_version_wanted_again_while_it_goes_is_loaded_again(world: World) -> None:
    world.aspire(1)
    world.wait_for(1, State.AVAILABLE)
    first = world.loads.models[1]
    world.aspire()
    world.aspire(1)
    world.wait(lambda: world.loads.models[1] is not first and world.state(1) is State.AVAILABLE)
    assert world.loads.attempts == [1, 1]


def test_retries_and_their_end() -> None:
    world = World(load_retries=2, retry_seconds=0.01)
    world.loads.failing.add(1)
    world.aspire(1)
    world.wait_for(1, State.END)
    assert world.loads.attempts == [1, 1, 1]
    assert world.history(1) == [State.START, State.LOADING, State.END]
    world.manager.stop()


def test_a_version_no_longer_wanted_is_not_retried() -> None:
    world = World(load_retries=5, retry_seconds=60)
    world.loads.failing.add(1)
    world.aspire(1)
    world.wait(lambda: world.loads.attempts == [1])
    # the manager's thread waits for the retry, as the server's does: stop() must not wait a minute
    started = time.monotonic()
    world.manager.stop()
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert world.state(1) is State.END


def test_loads_side_by_side() -> None:
    world = World(load_retries=0, load_threads=2)
    world.loads.gates = {1: threading.Event(), 2: threading.Event()}
    world.aspire(1, 2)
    world.wait(lambda: sorted(world.loads.attempts) == [1, 2])
    world.loads.gates[1].set()
    world.wait_for(1, State.AVAILABLE)
    assert world.state(2) is State.LOADING
    world.loads.gates[2].set()
    world.wait_for(2, State.AVAILABLE)
    world.manager.stop()


def test_stop_unloads_everything(world: World) -> None:
    world.aspire(1, 2)
    world.wait_for(1, State.AVAILABLE)
    world.wait_for(2, State.AVAILABLE)
    world.manager.stop()
    assert all(model.closed.is_set() for model in world.loads.models.values())


def test_waiting_sees_only_what_happens_after_it_began(world: World) -> None:
    world.aspire(1)
    world.wait_for(1, State.AVAILABLE)
    fresh = StateMonitor(world.bus)
    world.aspire(1, 2)
    (reached,) = fresh.wait_until_available(["m"]) or ()
    assert (reached.id.version, reached.state) == (2, State.AVAILABLE)
    assert fresh.wait_until_available([]) == []
    stopped = threading.Event()
    stopped.set()
    assert fresh.wait_until_available(["other"], give_up=stopped.is_set) is None
    fresh.close()
