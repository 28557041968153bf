# SPDX-License-Identifier: Apache-2.0
"""What ``plan`` shows is what ``up`` does, for any deployment file and any state that a server is found in."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from support.fake_servers import FakeServer, FakeTarget
from tfs_deploy.config import model_server_config, write_config
from tfs_deploy.deployment import Deployment, Model, Server, VersionPolicy
from tfs_deploy.deployment.active import ActiveModel, apply_active
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.launch import replace
from tfs_deploy.launch.memory import MemoryLimit
from tfs_deploy.launch.planning.steps import ReloadConfig, ReplaceBeside, ReplaceInPlace, StartServer
from tfs_deploy.launch.server import ServerPorts
from tfs_deploy.launch.start_settings import start_settings
from tfs_deploy.launch.up import plan, up
from tfs_deploy.state.active import read_active, write_active
from tfs_deploy.state.config_generations import new_generation, use_generation
from tfs_deploy.state.endpoint import read_endpoint, write_endpoint
from tfs_deploy.state.traffic import read_traffic, write_traffic

T = TypeVar("T")
#: situations that one test tries
BLOCK = 65
NAMES = ("a", "b")
VERSIONS = (1, 2, 3, 4)
LABELS = ("stable", "canary", "old")
PORTS, SECOND = ServerPorts(18500, 18501), ServerPorts(18510, 18511)
#: lines of a reload that say what the server does
DONE_BY_THE_SERVER = ("load ", "unload ", "point label ", "remove label ")


@dataclass(frozen=True)
class OneModel:
    """A model as a file, or a config that was written, has it; ``versions`` are those on disk."""

    policy: VersionPolicy
    labels: dict[str, int]
    traffic: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Situation:
    """A deployment file and everything that ``up`` may find."""

    disk: dict[str, tuple[int, ...]]
    file: dict[str, OneModel]
    threads: int
    second_pair: bool
    #: without a server nothing of the following counts
    running: bool
    written: dict[str, OneModel]
    #: what the server really follows where that is not what was written
    follows: dict[str, OneModel] | None
    had_threads: int
    on_second_pair: bool
    link: bool
    endpoint: bool
    #: these may be found without a server too
    leftover: bool
    traffic: dict[str, dict[str, float]]
    rolled: dict[str, tuple[ActiveModel, bool]]
    busy: int | None
    limit: int | None


def some(dice: Random, pool: Collection[T], most: int, least: int = 0) -> list[T]:
    """Return a few of ``pool``, in its order."""
    chosen = dice.sample(range(len(pool)), dice.randint(least, min(most, len(pool))))
    return [item for index, item in enumerate(pool) if index in chosen]


def weights(dice: Random, labels: Collection[str]) -> dict[str, float]:
    chosen = some(dice, labels, 2)
    return dict(zip(chosen, (100.0,) if len(chosen) == 1 else (90.0, 10.0), strict=False))


def model(dice: Random, disk: tuple[int, ...], *, missing: bool = False) -> OneModel:
    versions = some(dice, VERSIONS if missing else disk, 3, 1)
    policy = dice.choice(
        [
            VersionPolicy.specific(versions),
            VersionPolicy.specific(versions),
            VersionPolicy.latest(dice.randint(1, 2)),
            VersionPolicy.all(),
        ]
    )
    selected = policy.select(disk)
    labels = {label: dice.choice(selected) for label in some(dice, LABELS, 3) if selected}
    return OneModel(policy, labels, weights(dice, labels))


def config(dice: Random, disk: dict[str, tuple[int, ...]], *, missing: bool = False) -> dict[str, OneModel]:
    return {name: model(dice, disk[name], missing=missing) for name in some(dice, NAMES, 2, 1)}


def knowable(
    follows: dict[str, OneModel], written: dict[str, OneModel], file: dict[str, OneModel], rolled: Collection[str]
) -> dict[str, OneModel]:
    """Leave out what nothing on this machine tells of: a server lists neither its models nor their labels."""
    found = {}
    for name in follows.keys() & (written.keys() | file.keys()):
        told = {*(written[name].labels if name in written else ())}
        told |= {*(file[name].labels if name in file and name not in rolled else ())}
        labels = {label: version for label, version in follows[name].labels.items() if label in told}
        found[name] = dataclasses.replace(follows[name], labels=labels)
    return found


def situation(seed: int) -> Situation:
    """Return one of endlessly many; the same for the same seed."""
    dice = Random(seed)

    def seldom() -> bool:
        return dice.random() < 0.12

    disk = {name: tuple(some(dice, VERSIONS, 4, 1)) for name in NAMES}
    file = config(dice, disk, missing=seldom())
    same = dice.random() < 0.4 and all(one.policy.select(disk[name]) for name, one in file.items())
    written = file if same else config(dice, disk)
    rolled = {}
    for name in some(dice, NAMES, 2) if dice.random() < 0.4 else ():
        versions = some(dice, disk[name], 2, 1)
        labels = {label: dice.choice(versions) for label in some(dice, LABELS, 2)}
        rolled[name] = (ActiveModel(tuple(versions), labels), dice.random() < 0.7)
    return Situation(
        disk=disk,
        file=file,
        threads=2 if dice.random() < 0.25 else 1,
        second_pair=dice.random() < 0.5,
        running=dice.random() < 0.85,
        written=written,
        follows=knowable(config(dice, disk), written, file, rolled) if dice.random() < 0.4 else None,
        had_threads=1,
        on_second_pair=seldom(),
        link=not seldom(),
        endpoint=not seldom(),
        leftover=seldom(),
        traffic={name: split for name in file if (split := weights(dice, LABELS))},
        rolled=rolled,
        busy=dice.choice([PORTS.grpc, SECOND.rest]) if seldom() else None,
        limit=dice.choice([1_000, 3_000]) if seldom() else None,
    )


class World:
    """A situation made real: a folder with versions and a state directory, and a fake target."""

    def __init__(self, folder: Path, found: Situation) -> None:
        for name, versions in found.disk.items():
            for version in versions:
                (folder / name / str(version)).mkdir(parents=True)
                (folder / name / str(version) / "saved_model.pb").write_bytes(b"x" * 1_000)
        self.folder = folder
        self.deployment = self._deployment(found.file, found.threads, found.second_pair)
        self.state_dir = self.deployment.state_dir
        self.state_dir.mkdir(parents=True)
        self.target = FakeTarget(self.deployment)
        self.target.limit = None if found.limit is None else MemoryLimit(found.limit, "a limit")
        self.target.busy = set() if found.busy is None else {found.busy}
        self._write_state(found)
        if found.running:
            self._run(found)
        if found.leftover:
            self.target.left = FakeServer(90, ServerPorts(18520, 18521), self.state_dir, ())
            self.target.servers.append(self.target.left)

    def _deployment(self, models: dict[str, OneModel], threads: int, second_pair: bool) -> Deployment:
        server = Server(
            grpc_port=PORTS.grpc,
            rest_port=PORTS.rest,
            flags={"num_load_threads": threads},
            alternate_ports=(SECOND.grpc, SECOND.rest) if second_pair else None,
        )
        own = tuple(
            Model(name, self.folder / name, one.policy, one.labels, one.traffic) for name, one in models.items()
        )
        return Deployment("d", self.folder / "d.yaml", self.folder / "state", own, server)

    def _write_state(self, found: Situation) -> None:
        for name, split in found.traffic.items():
            write_traffic(self.state_dir / "traffic.json", name, split)
        records = {}
        for name, (record, counts) in found.rolled.items():
            model = next((model for model in self.deployment.models if model.name == name), None)
            made = ActiveModel.of(model, record.versions, record.labels) if model is not None and counts else record
            records[name] = made
        if records:
            write_active(self.state_dir, records)

    def _run(self, found: Situation) -> None:
        config_dir = new_generation(self.state_dir)
        if found.link:
            use_generation(self.state_dir, config_dir)
        write_config(self._deployment(found.written, 1, second_pair=False), config_dir)
        ports = SECOND if found.on_second_pair and found.second_pair else PORTS
        old = self._deployment(found.file, found.had_threads, second_pair=False)
        server = FakeServer(1, ports, config_dir, start_settings(old))
        server.apply(model_server_config(self._deployment(found.follows or found.written, 1, second_pair=False)))
        server.reloads.clear()
        self.target.servers.append(server)
        self.target.in_use = server
        if found.endpoint:
            write_endpoint(self.state_dir, server.grpc_address, server.rest_address)

    def plan(self):
        return plan(self.deployment, target=self.target, connect=self.target.connect)

    def up(self):
        return up(self.deployment, target=self.target, connect=self.target.connect)

    def snapshot(self) -> dict[str, object]:
        """Return everything that a step can change."""
        files = {
            str(path.relative_to(self.state_dir)): path.readlink() if path.is_symlink() else path.read_bytes()
            for path in sorted(self.state_dir.rglob("*"))
            if path.is_symlink() or path.is_file()
        }
        servers = [dataclasses.replace(server, reloads=[*server.reloads]) for server in self.target.servers]
        return {"files": files, "servers": servers, "calls": [*self.target.calls]}


class CallerByLabel:
    """Calls every label that the server has and that the file keeps, at the address where clients find the server."""

    def __init__(self, world: World, server: FakeServer) -> None:
        self._world = world
        self._server = server
        served = apply_active(world.deployment, read_active(world.state_dir))[0]
        self._labels = [
            (one.name, label)
            for one in served.models
            for label in sorted(one.labels.keys() & server.labels.get(one.name, {}))
        ]
        self.calls = 0
        self.failed: list[str] = []
        server.callers.append(self.call)

    def call(self) -> None:
        for model, label in self._labels:
            self.calls += 1
            try:
                self._client().metadata(model, label=label)
            except TfsDeployError as error:
                self.failed.append(error.message)

    def _client(self) -> Any:
        endpoint = read_endpoint(self._world.state_dir)
        return self._world.target.connect(
            self._world.deployment, self._server.grpc_address if endpoint is None else endpoint.grpc
        )


@pytest.fixture(autouse=True)
def _no_drain(monkeypatch):
    monkeypatch.setattr(replace, "DRAIN", 0.0)


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # what survives a crash is tested elsewhere


@pytest.mark.parametrize("seeds", [range(start, start + BLOCK) for start in range(0, 28 * BLOCK, BLOCK)], ids=str)
def test_up_takes_the_steps_that_plan_shows_and_no_call_by_label_fails(tmp_path, seeds):
    called = [check(World(tmp_path / f"seed-{seed}", situation(seed))) for seed in seeds]
    assert sum(called) >= 18  # so that all blocks together bring over 500 servers to their files


def check(world: World) -> bool:
    """Try ``plan`` and ``up``; tell whether clients could call while a running server was brought to the file."""
    running = world.target.current()
    caller = None if running is None else CallerByLabel(world, running)
    planned = world.plan()
    before = world.snapshot()
    if planned.refused:
        with pytest.raises(type(planned.refused[0])) as caught:
            world.up()
        assert caught.value.message == planned.refusals[0]
        assert world.snapshot() == before
        return False
    done = world.up()
    assert done.steps == planned.lines
    assert done.changes == planned.changes
    assert done.started == (running is None)
    assert bool(planned) == (world.snapshot() != before)
    what_the_server_did(world, planned, running)
    # a replacement in place has the downtime that the plan announces
    assert caller is None or planned.gap or caller.failed == []
    serves_the_file(world)
    nothing_is_left_to_do(world)
    return caller is not None and not planned.gap


def what_the_server_did(world: World, planned, running: FakeServer | None) -> None:
    kinds = [type(step) for step in planned.steps if isinstance(step, StartServer | ReplaceBeside | ReplaceInPlace)]
    assert kinds == [] if planned.action in ("none", "update") else len(kinds) == 1
    if running is None or kinds:
        return
    shown = [
        sorted(line for line in step.lines if line.startswith(DONE_BY_THE_SERVER))
        for step in planned.steps
        if isinstance(step, ReloadConfig)
    ]
    assert shown == [sorted(lines) for lines in running.reloads]


def serves_the_file(world: World) -> None:
    server = world.target.current()
    assert server is not None
    records = read_active(world.state_dir)
    for model in world.deployment.models:
        record = records.get(model.name)
        policy = model.version_policy if record is None else VersionPolicy.specific(record.versions)
        on_disk = [int(path.name) for path in model.base_path.iterdir()]
        assert sorted(server.loaded[model.name]) == policy.select(on_disk)
        assert server.labels[model.name] == (model.labels if record is None else record.labels)
        if model.traffic and record is None:
            assert read_traffic(world.state_dir / "traffic.json").models[model.name] == model.traffic
    assert set(server.loaded) == {model.name for model in world.deployment.models}
    endpoint = read_endpoint(world.state_dir)
    assert endpoint is not None
    assert (endpoint.grpc, endpoint.rest) == (server.grpc_address, server.rest_address)
    assert (world.state_dir / "config").resolve() == server.config_dir.resolve()


def nothing_is_left_to_do(world: World) -> None:
    again = world.plan()
    assert (again.action, again.lines, again.changes, again.refusals) == ("none", (), (), ())
    before = world.snapshot()
    assert world.up().steps == ()
    assert world.snapshot() == before
