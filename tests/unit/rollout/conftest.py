# SPDX-License-Identifier: Apache-2.0
"""A simulated server, traffic file, clock and journal with the real server's rules, for the rollout's tests."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from tfs_deploy.errors import (
    DeadlineExceededError,
    EnvironmentFault,
    FailedPreconditionError,
    LaunchError,
    UnavailableError,
)
from tfs_deploy.rollout.adapters.replicas import ReplicaSet
from tfs_deploy.rollout.check_result import CheckResult
from tfs_deploy.rollout.controller.controller import Controller
from tfs_deploy.rollout.controller.world import World
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.machine.actions import Finish, RolloutStatus, Wait
from tfs_deploy.rollout.machine.history import History
from tfs_deploy.rollout.machine.observation import AVAILABLE, END, LOADING, ServerView, VersionView
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit


class KilledError(Exception):
    """The controller's process is gone."""


class Clock:
    """Time that passes only when somebody sleeps; the server lives in the same time."""

    def __init__(self, server: Server) -> None:
        self.servers = [server]
        self.wall = 1_700_000_000.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.servers[0].time

    def sleep(self, seconds: float) -> None:
        self.wall += seconds
        for server in self.servers:
            server.advance(seconds)


@dataclass
class Server:
    """Loads and unloads in its own time, refuses labels on what is not loaded, forgets all when it restarts."""

    load_seconds: float = 1.0
    broken: dict[int, str] = field(default_factory=dict)  # version -> why it does not load
    up: bool = True
    has_record: bool = False  # whether its process is known, so that its end is
    time: float = 0.0
    file: tuple[tuple[int, ...], dict[str, int]] = ((1,), {"stable": 1})
    wanted: tuple[int, ...] = (1,)
    labels: dict[str, int] = field(default_factory=lambda: {"stable": 1})
    versions: dict[int, VersionView] = field(default_factory=lambda: {1: VersionView(AVAILABLE)})
    ready_at: dict[int, float] = field(default_factory=dict)
    refusals: list[Exception] = field(default_factory=list)  # raised by the next calls of apply
    lost_replies: int = 0  # so many of the next reloads are carried out without an answer
    applied: list[tuple[tuple[int, ...], dict[str, int]]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    traffic: Traffic | None = None
    bytes: int | None = None
    starts: int = 0  # how often it came up again
    adopted: int = 0  # and how often before the controller first saw it, or started it

    def observe(self, labels) -> ServerView:
        self._require_up()
        known = {label: self.labels[label] for label in labels if label in self.labels}
        return ServerView(dict(self.versions), {k: v for k, v in known.items() if self._available(v)})

    def apply(self, versions, labels) -> None:
        before, self.file = self.file, (tuple(versions), dict(labels))
        if self.refusals:
            error = self.refusals.pop(0)
            if not error.retriable:
                self.file = before
            raise error
        self._require_up()
        for label, version in labels.items():
            if not self._available(version):
                self.file = before
                raise FailedPreconditionError(f"label {label}: version {version} is not available for inference")
        self.labels, self.wanted = dict(labels), tuple(versions)
        self.applied.append(self.file)
        self.advance(0.0)
        if self.lost_replies:
            self.lost_replies -= 1
            raise DeadlineExceededError("no answer in time")

    def advance(self, seconds: float) -> None:
        self.time += seconds
        if not self.up:
            return
        for version in self.wanted:
            state = self.versions.get(version, VersionView(END))
            if state.state == END and not (state.failed and version in self.ready_at):
                self.versions[version] = VersionView(LOADING)
                self.ready_at[version] = self.time + self.load_seconds
            elif state.state == LOADING and self.time >= self.ready_at[version]:
                broken = self.broken.get(version)
                self.versions[version] = VersionView(END, 3, broken) if broken else VersionView(AVAILABLE)
        for version, view in list(self.versions.items()):
            if version not in self.wanted and view.state != END and any(map(self._available, self.wanted)):
                self.versions[version] = VersionView(END)
                self.ready_at.pop(version, None)
        self._inspect()

    def crash(self) -> None:
        self.up = False

    def restart(self) -> None:
        """Come up from the file; what cannot be loaded keeps a server from starting."""
        versions, labels = self.file
        if any(version in self.broken for version in versions):
            return
        self.starts += 1
        self.up, self.wanted, self.labels = True, versions, dict(labels)
        self.versions = {version: VersionView(AVAILABLE) for version in versions}
        self._inspect()

    def ended(self) -> bool:
        return self.has_record and not self.up

    def replaced(self) -> bool:
        return self.has_record and self.up and self.starts != self.adopted

    def revive(self) -> None:
        if not self.up:
            self.restart()
        if not self.up:
            raise LaunchError("the server ended during its start")
        self.adopted = self.starts

    def memory(self) -> int | None:
        return self.bytes

    def _available(self, version: int) -> bool:
        return self.versions.get(version, VersionView(END)).state == AVAILABLE

    def _require_up(self) -> None:
        if not self.up:
            raise UnavailableError("connection refused")

    def _inspect(self) -> None:
        for label, version in self.labels.items():
            if not self._available(version):
                self.complaints.append(f"label {label} points at version {version}, which is not loaded")
        if "stable" not in self.labels:
            self.complaints.append("no version is stable")
        for label in {**(self.traffic.weights or {}), **self.traffic.copies} if self.traffic else {}:
            if label not in self.labels:
                self.complaints.append(f"requests are sent to the unknown label {label}")
        loaded = [version for version in self.versions if self._available(version)]
        if len(loaded) > 2:
            self.complaints.append(f"versions {loaded} are loaded at once")


@dataclass
class Traffic:
    """The traffic file; checks that weights sum to 100 and go to labels that exist."""

    server: Server
    weights: dict[str, float] | None = field(default_factory=lambda: {"stable": 100.0})
    written: list[dict[str, float]] = field(default_factory=list)

    copies: dict[str, float] = field(default_factory=dict)

    def read(self):
        return None if self.weights is None else TrafficSplit(self.weights, self.copies)

    def write(self, split) -> None:
        self.weights, self.copies = dict(split.weights), dict(split.copies)
        self.written.append({**self.weights, **{f"copies to {label}": share for label, share in self.copies.items()}})
        if abs(sum(self.weights.values()) - 100.0) > 1e-9:
            self.server.complaints.append(f"weights {self.weights} do not sum to 100")
        if self.server.up:
            self.server.advance(0.0)


@dataclass
class Checks:
    """Preflight and smoke with results chosen by the test."""

    preflight_result: CheckResult = field(default_factory=lambda: CheckResult(ok=True))
    smoke_result: CheckResult = field(default_factory=lambda: CheckResult(ok=True))
    on_smoke: object = None
    pruned: list[tuple[int, int]] = field(default_factory=list)
    gone: dict[int, str] = field(default_factory=dict)  # version -> the directory that is missing

    def preflight(self, plan):
        return self.preflight_result

    def smoke(self, version):
        if callable(self.on_smoke):
            self.on_smoke()
        return self.smoke_result

    def missing(self, version):
        return self.gone.get(version, "")

    def prune(self, keep, served):
        self.pruned.append((keep, served))
        return "nothing to remove"


@dataclass
class ScriptedGate:
    """Answers from a list, then passes for ever."""

    answers: list[Verdict] = field(default_factory=list)
    name: str = "scripted"

    def judge(self, step):
        verdict = self.answers.pop(0) if self.answers else Verdict.PASS
        return GateVerdict(self.name, verdict, f"said {verdict.value}")


@dataclass
class Log:
    """The journal in memory; ``kill_after`` entries the process is gone, with the last entry on the disk."""

    events: list = field(default_factory=list)
    starved: str = ""
    kill_after: int | None = None
    broken: int = 0  # so many of the next entries cannot be written

    def append(self, event) -> None:
        if self.broken:
            self.broken -= 1
            raise EnvironmentFault("the journal cannot be written")
        self.events.append(event)
        if self.kill_after is not None and len(self.events) >= self.kill_after:
            self.kill_after = None
            raise KilledError

    def make_room(self, error) -> bool:
        return False


@dataclass
class Hooks:
    """Remembers what it was asked; objects where the test says so."""

    calls: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    objections: dict[str, str] = field(default_factory=dict)

    def run(self, when, phase, facts):
        step = f" {facts['percent']:g}" if phase == "step" and "percent" in facts else ""
        self.calls.append(f"{when} {phase}{step}")
        return self.objections.get(f"{when} {phase}")

    def tell(self, facts):
        self.told.append(f"{facts['phase']} {facts['status']}")

    def close(self):
        pass


@dataclass
class Mailbox:
    request: str | None = None

    def read(self):
        return self.request

    def clear(self) -> None:
        self.request = None


class Simulation:
    """A rollout from version 1 to 2 on a simulated server."""

    def __init__(self, **plan) -> None:
        defaults = {"steps": (5.0, 50.0, 100.0), "bake": 2.0, "load_timeout": 60.0}
        self.plan = RolloutPlan("digits", 1, 2, **{**defaults, **plan})
        self.server = Server()
        self.traffic = self.server.traffic = Traffic(self.server)
        self.checks = Checks()
        self.gate = ScriptedGate()
        self.requests = None
        self.log = Log()
        self.mailbox = Mailbox()
        self.hooks = Hooks()
        self.clock = Clock(self.server)
        self.world = self._world()
        self.controller = self._controller(History())

    def _controller(self, history: History) -> Controller:
        return Controller(self.plan, self.world, history)

    def _world(self) -> World:
        return World(
            self.server,
            self.server,
            self.traffic,
            self.checks,
            [self.gate],
            self.requests,
            self.log,
            self.mailbox,
            self.clock,
            self.hooks,
        )

    def start(self) -> None:
        self.server.adopted = self.server.starts
        self.controller = self._controller(History())
        self.controller.record("start", plan=self.plan.as_dict())

    def resume(self) -> None:
        """Go on as a new process does: from the journal alone, with times that count anew."""
        history = History()
        for event in self.log.events:
            history = history.after(event)
        self.server.adopted = self.server.starts
        self.controller = self._controller(history)
        self.controller.record("resume")
        self.controller.counter.go_on(self.log.events)

    def tick(self):
        action = self.controller.tick()
        if isinstance(action, Wait):
            self.clock.sleep(action.seconds)
        return action

    def run(self, *, ticks: int = 20_000) -> Finish:
        for _ in range(ticks):
            action = self.tick()
            if isinstance(action, Finish):
                return action
        raise AssertionError(f"no end after {ticks} ticks, last {action}")

    def actions(self) -> list[str]:
        return [event.action for event in self.log.events if event.kind == "intend"]

    @property
    def complaints(self) -> list[str]:
        return self.server.complaints

    @property
    def all_up(self) -> bool:
        return all(server.up for server in self.clock.servers)

    def restart_all(self) -> None:
        for server in self.clock.servers:
            if not server.up:
                server.restart()

    @property
    def loaded(self) -> list[int]:
        return [version for version, view in self.server.versions.items() if view.state == AVAILABLE]


class Replica:
    """One of several simulated servers: told by reload, started again from the file that all share."""

    def __init__(self, number: int, server: Server) -> None:
        self.address = f"10.0.0.{number}:8500"
        self.server = server

    def observe(self, labels) -> ServerView:
        return self.server.observe(labels)

    def reload(self, config) -> None:
        self.server.apply(*config)


class SharedFile:
    """The config file of several servers."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self.state = servers[0].file

    def read(self):
        return self.state

    def after(self, state, versions, labels):
        return tuple(versions), dict(labels)

    def write(self, state) -> None:
        self.state = state
        for server in self.servers:
            server.file = state

    def message(self, state):
        return state


class FleetSimulation(Simulation):
    """The same on several servers; ``server`` is the first of them."""

    def __init__(self, count: int = 3, **plan) -> None:
        self.servers = [Server() for _ in range(count)]
        self.file = SharedFile(self.servers)
        self.fleet = ReplicaSet([Replica(number, server) for number, server in enumerate(self.servers, 1)], self.file)
        super().__init__(**plan)

    def _world(self) -> World:
        self.server = self.servers[0]
        for server in self.servers:
            server.traffic = self.traffic
        self.clock.servers = self.servers
        return replace(super()._world(), server=self.fleet)

    @property
    def complaints(self) -> list[str]:
        return [complaint for server in self.servers for complaint in server.complaints]


def _traffic_deleted(sim: Simulation, _server: Server) -> None:
    sim.traffic.weights, sim.traffic.copies = None, {}


def _new_version_dies(_sim: Simulation, server: Server) -> None:
    if server.up and 2 not in server.labels.values():
        server.versions[2] = VersionView(END, 13, "out of memory")


FAULTS = {
    "crash": lambda _sim, server: server.crash(),
    "restart": lambda _sim, server: server.restart(),
    "traffic deleted": _traffic_deleted,
    "reload unavailable": lambda _sim, server: server.refusals.append(UnavailableError("connection reset")),
    "reload refused": lambda _sim, server: server.refusals.append(FailedPreconditionError("not available")),
    "reload without answer": lambda _sim, server: setattr(server, "lost_replies", server.lost_replies + 1),
    "new version dies": _new_version_dies,
    "killed": lambda sim, _server: setattr(sim.log, "kill_after", len(sim.log.events) + 1),
    "clock jumps back": lambda sim, _server: setattr(sim.clock, "wall", sim.clock.wall - 3600),
    "disk full": lambda sim, _server: setattr(sim.log, "starved", "the disk is full"),
    "journal broken": lambda sim, _server: setattr(sim.log, "broken", 1),
    **{
        request: lambda sim, _server, request=request: setattr(sim.mailbox, "request", request)
        for request in ("abort", "pause", "promote", "promote-now")
    },
}


def happen(sim: Simulation, fault: str, tick: int) -> None:
    """Let one fault come to pass, on one of the servers."""
    servers = sim.clock.servers
    FAULTS[fault](sim, servers[tick % len(servers)])


def drive(sim: Simulation, schedule, ticks: int = 3000) -> Finish | None:
    """Run to the end; a killed controller and a paused rollout are resumed, a dead server comes back after a while.

    An experiment that waits for a human is approved.
    """
    due = sorted(schedule, key=lambda entry: entry[0])
    dead_for = 0
    for tick in range(ticks):
        while due and due[0][0] <= tick:
            happen(sim, due.pop(0)[1], tick)
        dead_for = 0 if sim.all_up else dead_for + 1
        if dead_for > 200:
            sim.restart_all()
        try:
            action = sim.tick()
            if isinstance(action, Finish):
                if action.status is not RolloutStatus.PAUSED:
                    return action
                sim.clock.sleep(1.0)
                sim.resume()
                if "promote goes on" in action.reason:
                    sim.mailbox.request = "promote"
        except (KilledError, EnvironmentFault):
            sim.log.starved = ""
            with contextlib.suppress(KilledError):
                sim.resume()
    return None


@pytest.fixture(scope="session")
def simulated() -> SimpleNamespace:
    """The parts of the simulation; ``simulated.Simulation()`` makes one."""
    return SimpleNamespace(
        Simulation=Simulation,
        FleetSimulation=FleetSimulation,
        Killed=KilledError,
        Server=Server,
        Clock=Clock,
        FAULTS=list(FAULTS),
        drive=drive,
    )
