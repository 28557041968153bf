# SPDX-License-Identifier: Apache-2.0
"""What rollouts are put through, on any deployment: bad candidates, dying servers, killed controllers, lost files.

Each function takes a running ``Zoo``, on the embedded server or in a container, and asserts how it has to end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from support.consumers import AwaitedConsumers, Consumers, Watch
from tfs_deploy.cli.main import run
from tfs_deploy.client import read_traffic
from tfs_deploy.rollout import ErrorRateGate, Rollout, RolloutResult, Status, Verdict
from tfs_deploy.rollout.adapters.deployed_server import SystemClock
from tfs_deploy.rollout.begin import latest_rollout
from tfs_deploy.state.active import read_active
from tfs_deploy.state.journal import journals

if TYPE_CHECKING:
    from support.zoo_deployments import Zoo

SUPPORT = Path(__file__).parent


def cli(*arguments: object) -> SimpleNamespace:
    """Run a command in this process: ``returncode``, ``stdout`` and ``stderr`` as of one of its own."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = run([str(argument) for argument in arguments])
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=errors.getvalue())


def make_candidates(folder: Path) -> Path:
    """Write a good model and bad candidates for its next version, by name (see ``make_candidates.py``)."""
    command = [sys.executable, SUPPORT / "make_candidates.py", folder]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return folder


def a_rollout_and_a_rollback_under_load(zoo: Zoo) -> None:
    """8 threads and 64 calls in flight all the time: not one request fails, and both versions answer."""
    steps = []
    with Consumers(zoo, 8) as load, AwaitedConsumers(zoo, 64) as awaited:
        gates = [ErrorRateGate(min_samples=1)]
        options = {"steps": (10, 50, 100), "bake": 0.6, "requests": load.stats, "gates": gates}
        result = Rollout(zoo.deployment, "zoo", to=2, **options).run(on_step=steps.append)
        assert zoo.served() == ({"stable": 2}, [2])
        back = Rollout.back(zoo.deployment, "zoo").run()
        assert zoo.served() == ({"stable": 1}, [1])

    assert load.failures == []
    assert awaited.failures == []
    for answers in (load.answers, awaited.answers):
        assert min(answers[1], answers[2]) > 100
    assert (result.status, back.status, back.new) == (Status.DONE, Status.DONE, 1)
    assert [step.weight for step in steps] == [10, 50, 100]
    for step in steps:
        assert step.requests > 0
        assert step.errors == 0
        assert step.verdict is Verdict.PASS
        assert step.windows["canary"].p99 > 0
        assert [entry.gate for entry in step.verdicts] == ["golden", "errors"]
    assert result.steps == tuple(steps)
    assert steps[1].windows["stable"].requests > 0


# Bad candidates

#: what is asked of the versions: mostly small numbers, one in ten so big that bad candidates stumble
BIG = 60.0
#: kind -> how far the recorded answers are off, what the error says, whether it ever got requests
BAD = {
    "no_load": (2.5, "version 2 failed to load: ", 0),
    "raises": (0.0, "errors gate: ", 1),
    "nan": (0.0, "finite gate: ", 1),
    "slow": (0.0, "p50 gate: p50 ", 1),
    "renamed": (0.0, "preflight: version 2 breaks callers of version 1: serving_default output 'y': it is gone", 0),
    "wrong": (1.0, "smoke: zoo version 2, grpc serving_default: failed: output 'y' at [0]: 2.5 instead of 3.5", 0),
    "drifting": (0.0, "agreement gate: output 'y': agreement ", 1),
    "leaking": (0.0, "memory gate: ", 1),
}


def draw(count: int) -> np.ndarray:
    return np.array([BIG if count % 10 == 0 else count % 10], np.float32)


def a_bad_candidate_is_stopped(shop: Zoo, kind: str, folder: Path) -> None:
    """By the gate for it, with exit code 1 and the reason in the error; stable never notices."""
    offset, reason, steps = BAD[kind]
    answers = np.array([2.5, 3.0, 0.5]) + offset
    shop.add(2, like="good" if kind == "wrong" else kind, answers=answers)
    options = ["--steps", "50,100", "--bake", "4s", "--check-every", "1s", "--fail-after", 2, "--gate", "memory=20%"]
    if kind == "drifting":
        np.savez(folder / "requests.npz", x=np.array([1.0, 2.0, BIG], np.float32))
        options += ["--requests", folder / "requests.npz", "--gate", "agreement=99%"]

    with Consumers(shop, draw=draw) as load:
        result = cli("rollout", "start", shop.file, *options)

    (last,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert result.returncode == 1, result.stderr
    assert reason in last, last
    assert result.stderr.count(reason) + result.stdout.count(reason) == 1 or not reason.startswith("preflight: ")
    assert load.failed["stable"] == 0
    assert shop.served() == ({"stable": 1}, [1])
    assert ("% of the traffic goes to canary" in result.stderr) == bool(steps)
    if kind != "raises":
        assert load.failures == []


def a_candidate_that_ends_the_server(shop: Zoo) -> None:
    """It is out, stable serves again, and the outage is measured and told."""
    shop.add(2, like="aborting", answers=np.array([2.5, 3.0, 0.5]))

    with Consumers(shop, draw=draw):
        result = cli("rollout", "start", shop.file, "--steps", "50,100", "--bake", "30s", "--ignore-lint", "--json")

    assert result.returncode == 1, result.stderr
    rollout = json.loads(result.stdout)["rollout"]
    assert rollout["status"] == "rolled back"
    assert rollout["reason"] == "the server's process ended while version 2 was being rolled out"
    assert shop.served() == ({"stable": 1}, [1])
    outage = next(note for note in rollout["notes"] if note.startswith("the server did not answer for "))
    assert 0.0 < float(outage.split()[-2]) < 20.0
    assert outage in cli("rollout", "report", shop.file).stdout


# Killed controllers

#: one judgement a step, by the golden gate, so that every rollout has the same entries
STEPS = ("--steps", "50,100", "--bake", "300ms", "--no-default-gates", "--no-require-traffic")
#: entries of a rollout through two steps: the start, intention and outcome of eleven actions, the end
ENTRIES = 24
POSITIONS = [(when, number) for number in range(1, ENTRIES + 1) for when in ("before", "after")]
#: the same of a rollback: preflight, load, smoke, promote, calm, retire
BACK_ENTRIES = 14
BACK_POSITIONS = POSITIONS[: 2 * BACK_ENTRIES]


def controllers_killed_at(zoo: Zoo, positions: Iterable[tuple[str, int]]) -> None:
    """Kill one controller after the other and resume, under load, watched for what must never be."""
    with Consumers(zoo, 2, pause=0.005) as load, Watch(zoo) as watch:
        for when, number in positions:
            _kill_and_resume(zoo, when, number)
    assert load.failures == []
    assert watch.complaints == []
    assert watch.looks > 0


def _kill_and_resume(zoo: Zoo, when: str, number: int) -> None:
    """The rollout goes from the version that is stable now to the other one."""
    ((old,),) = zoo.served()[1:]
    new = 3 - old
    before = len(journals(zoo.state_dir, "zoo"))
    _roll_and_kill(zoo, new, when, number)
    written = len(journals(zoo.state_dir, "zoo")) > before
    over = written and latest_rollout(zoo.state_dir, "zoo").history.finished is not None
    assert over == ((when, number) == ("after", ENTRIES))
    resumed = cli("rollout", "resume", zoo.file)
    assert resumed.returncode == (0 if written and not over else 2), resumed.stderr
    stable = new if written else old
    assert zoo.served() == ({"stable": stable}, [stable])
    assert read_traffic(zoo.traffic_path).models["zoo"] == {"stable": 100.0}
    if written:
        assert latest_rollout(zoo.state_dir, "zoo").history.finished.value == "done"
        status = json.loads(cli("rollout", "status", zoo.file, "--json").stdout)
        assert status["rollout"]["status"] == "done"


def _roll_and_kill(zoo: Zoo, to: int, when: str, number: int) -> None:
    """Roll version ``to`` out with a controller that ends at an entry of its journal."""
    options = [*STEPS, "--allow-breaking"]
    _doom(when, number, "rollout", "start", zoo.file, "--to", to, *options)


def _doom(when: str, number: int, *arguments: object) -> None:
    command = [sys.executable, SUPPORT / "kill_at_entry.py", when, number, *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


def rollbacks_killed_at(zoo: Zoo, positions: Iterable[tuple[str, int]]) -> None:
    """Kill a rollback from version 2 at an entry and ask for one again: it goes on, and never back to version 2."""
    for when, number in positions:
        assert Rollout(zoo.deployment, "zoo", to=2, steps=(), allow_missing_warmup=True).run().done
        before = len(journals(zoo.state_dir, "zoo"))
        _doom(when, number, "rollback", zoo.file)
        written = len(journals(zoo.state_dir, "zoo")) > before
        again = cli("rollback", zoo.file)
        over = (when, number) == ("after", BACK_ENTRIES)
        assert again.returncode == (2 if over else 0), again.stderr
        assert (
            not over or "version 1 of zoo is already stable again: the last rollout rolled back from 2" in again.stderr
        )
        assert over or "zoo: version 2 to 1" + (" resumed" if written else ", rollback") in again.stderr
        assert zoo.served() == ({"stable": 1}, [1])


# Dying servers

#: phase -> the line that tells the end of an action, and where a rollout ends whose server dies then
PHASES = {
    "preflight": ("preflight passed", (Status.ROLLED_BACK, 1)),
    "load": ("waiting for version 2 to load", (Status.ROLLED_BACK, 1)),
    "smoke": ("smoke passed: 2 answers as expected", (Status.ROLLED_BACK, 1)),
    "label": ("label canary points at version 2", (Status.ROLLED_BACK, 1)),
    "step": ("50 % of the traffic goes to canary", (Status.ROLLED_BACK, 1)),
    "promote": ("label stable points at version 2", (Status.ROLLED_BACK, 1)),
    "settle": ("all traffic goes to stable", (Status.ROLLED_BACK, 1)),
    "retire": ("unloading the old version", (Status.DONE, 2)),
}


def roll(zoo: Zoo, kill_at: str, **options) -> RolloutResult:
    """Roll version 2 out with a server that dies at a line of the story, once."""
    told: list[str] = []

    def hear(line: str) -> None:
        if line.startswith(kill_at) and not any(earlier.startswith(kill_at) for earlier in told):
            zoo.kill_server()
        told.append(line)

    wanted = {"to": 2, "steps": (50, 100), "bake": 0.3, "keep_warm": 0.5, **options}
    return Rollout(zoo.deployment, "zoo", **wanted).run(on_event=hear, check=False)


def a_server_that_dies_in(zoo: Zoo, phase: str) -> None:
    """It serves again, with the old version until the old one was asked to leave, and the traffic is in order."""
    line, (status, stable) = PHASES[phase]
    result = roll(zoo, line)
    assert result.status is status, result.reason
    assert zoo.served() == ({"stable": stable}, [stable])
    assert read_traffic(zoo.traffic_path).models["zoo"] == {"stable": 100.0}
    if status is Status.ROLLED_BACK:
        assert result.reason == "the server's process ended while version 2 was being rolled out"


def a_server_that_dies_on_the_way_back(zoo: Zoo) -> None:
    result = roll(zoo, "rolling back to version 1", gates=["command=false"])

    assert result.reason.startswith("step 50 %: command gate: ")
    assert (result.status, zoo.served()) == (Status.ROLLED_BACK, ({"stable": 1}, [1]))


# Lost files, rivals, clocks


def a_traffic_file_that_is_deleted_and_damaged(zoo: Zoo) -> None:
    """It is written again, and no request fails."""

    def delete(line: str) -> None:
        if line == "50 % of the traffic goes to canary" and zoo.traffic_path.exists():
            lines.append(line)
            if len(lines) == 1:
                zoo.traffic_path.unlink()
            elif len(lines) == 2:
                zoo.traffic_path.write_text("nonsense")

    lines: list[str] = []
    with Consumers(zoo, pause=0.003) as load:
        rollout = Rollout(
            zoo.deployment, "zoo", to=2, steps=(50, 100), bake=0.8, gates=["errors=1%"], default_gates=False
        )
        result = rollout.run(on_event=delete, check=False)

    assert result.status is Status.DONE, result.reason
    assert len(lines) == 3
    assert zoo.traffic_path.with_suffix(".damaged").read_text() == "nonsense"
    assert load.failures == []
    assert load.answers[2] > 0


def records_that_are_damaged_on_the_way_back(zoo: Zoo) -> None:
    """They are read out of the server's own config file, and the way back goes on."""
    records = zoo.state_dir / "active.json"

    def damage(line: str) -> None:
        if line.startswith("rolling back to version 1"):
            records.write_text('{"models": ')

    options = {"steps": (50, 100), "bake": 0.3, "gates": ["command=false"]}
    result = Rollout(zoo.deployment, "zoo", to=2, **options).run(on_event=damage, check=False)

    assert result.status is Status.ROLLED_BACK, result.reason
    assert zoo.served() == ({"stable": 1}, [1])
    assert read_active(zoo.state_dir)["zoo"].labels == {"stable": 1}
    records.write_text("nonsense")
    assert cli("rollout", "start", zoo.file, "--to", 2, "--steps", "100", "--bake", "0s").returncode == 0
    assert zoo.served() == ({"stable": 2}, [2])


def a_disk_that_fills_up_in_a_step(zoo: Zoo) -> None:
    """The canary goes back with the room that was kept; with room again the rollout succeeds.

    The state directory has to be a small file system of its own.
    """
    filler = zoo.state_dir / "filler"

    def fill(line: str) -> None:
        """Leave not one page free once the canary gets traffic."""
        if line == "50 % of the traffic goes to canary":
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1024))

    options = {"to": 2, "steps": (50, 100), "bake": 0.3}
    refused = Rollout(zoo.deployment, "zoo", **options).run(on_event=fill, check=False)
    assert filler.stat().st_size > 1 << 19
    assert refused.status is Status.ROLLED_BACK, refused.reason
    assert refused.reason.endswith("No space left on device")
    assert zoo.served() == ({"stable": 1}, [1])
    assert read_traffic(zoo.traffic_path).models["zoo"] == {"stable": 100.0}
    filler.unlink()
    assert Rollout(zoo.deployment, "zoo", **options).run(check=False).status is Status.DONE
    assert zoo.served() == ({"stable": 2}, [2])


def controllers_that_start_together(zoo: Zoo) -> None:
    """One works, the others name it."""
    options = ["--to", 2, "--steps", "100", "--bake", "1s"]
    command = [str(word) for word in (sys.executable, "-m", "tfs_deploy", "rollout", "start", zoo.file, *options)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ends = [(process.communicate(timeout=300)[1], process.returncode) for process in started]

    winner = started[[code for _, code in ends].index(0)]
    assert sorted(code for _, code in ends) == [0, 4, 4], ends
    for errors, code in ends:
        assert code == 0 or f"(process {winner.pid}) since " in errors
    assert len(list((zoo.state_dir / "rollouts" / "zoo").glob("*.jsonl"))) == 1
    assert zoo.served() == ({"stable": 2}, [2])


class JumpingClock(SystemClock):
    """A wall clock that is set back an hour once the canary has traffic."""

    def __init__(self, zoo: Zoo) -> None:
        self._zoo = zoo

    def now(self) -> float:
        exposed = "canary" in self._zoo.traffic_path.read_text()
        return super().now() - (3600.0 if exposed else 0.0)


def a_wall_clock_that_jumps_back_an_hour(zoo: Zoo) -> None:
    """It changes nothing."""
    options = {"steps": (50, 100), "bake": 0.8, "gates": ["errors=1%"], "default_gates": False, "keep_warm": 0.5}
    rollout = Rollout(zoo.deployment, "zoo", to=2, **options)
    rollout._own = dataclasses.replace(rollout._own, clock=JumpingClock(zoo))
    with Consumers(zoo, pause=0.003) as load:
        result = rollout.run(check=False)

    assert result.status is Status.DONE, result.reason
    walls = [event.at for event in latest_rollout(zoo.state_dir, "zoo").events]
    assert max(first - second for first, second in itertools.pairwise(walls)) > 3500.0
    assert 2.1 <= result.seconds < 1000
    assert all(step.windows["canary"].requests > 30 for step in result.steps)
    assert load.failures == []
    assert re.search(r"Done after \d+\.\d s", cli("rollout", "report", zoo.file).stdout)
