"""A controller killed at each entry of its journal, on the embedded server and under load, and then resumed."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tfs_deploy.client import Client, read_traffic
from tfs_deploy.errors import InvalidArgumentError, NotFoundError
from tfs_deploy.rollout.begin import latest
from tfs_deploy.rollout.journal import journals

DOOMED = Path(__file__).with_name("doomed.py")
#: one judgement a step, by the golden gate, so that every rollout has the same entries
STEPS = ("--steps", "50,100", "--bake", "300ms", "--no-default-gates")
#: entries of a rollout through two steps: the start, intention and outcome of eleven actions, the end
ENTRIES = 24
POSITIONS = [(when, number) for number in range(1, ENTRIES + 1) for when in ("before", "after")]


class Watch:
    """Looks at the server all the time and takes down what must never be."""

    def __init__(self, zoo) -> None:
        self.complaints: list[str] = []
        self.looks = 0
        self._zoo = zoo
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self) -> None:
        with Client(self._zoo.address) as client:
            while not self._stop.wait(0.02):
                self._look(client)
                self.looks += 1

    def _look(self, client: Client) -> None:
        available = [status.version for status in client.status("zoo") if status.available]
        if len(available) > 2:
            self.complaints.append(f"versions {available} are loaded at once")
        with contextlib.suppress(NotFoundError, InvalidArgumentError):
            client.metadata("zoo", label="canary")
        try:
            client.metadata("zoo", label="stable")
        except (NotFoundError, InvalidArgumentError) as error:
            self.complaints.append(f"stable does not answer: {error.message}")
        split = read_traffic(self._zoo.traffic_path).models["zoo"]  # raises unless the weights sum to 100
        if not set(split) <= {"stable", "canary"}:
            self.complaints.append(f"traffic goes to {split}")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def roll_and_kill(zoo, to: int, when: str, number: int) -> None:
    """Roll version ``to`` out with a controller that ends at an entry of its journal."""
    options = [*STEPS, "--allow-breaking"]
    command = [sys.executable, DOOMED, when, number, "rollout", "start", zoo.file, "--to", to, *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=100)
    assert done.returncode == -signal.SIGKILL, done.stderr


def kill_and_resume(zoo, cli, when: str, number: int) -> None:
    """Kill one controller and resume; the rollout goes from the version that is stable now to the other one."""
    ((old,),) = zoo.served()[1:]
    new = 3 - old
    before = len(journals(zoo.state_dir, "zoo"))
    roll_and_kill(zoo, new, when, number)
    written = len(journals(zoo.state_dir, "zoo")) > before
    over = written and latest(zoo.state_dir, "zoo").history.finished is not None
    assert over == ((when, number) == ("after", ENTRIES))
    resumed = cli("rollout", "resume", zoo.file)
    assert resumed.returncode == (0 if written and not over else 2), resumed.stderr
    stable = new if written else old
    assert zoo.served() == ({"stable": stable}, [stable])
    assert read_traffic(zoo.traffic_path).models["zoo"] == {"stable": 100.0}
    if written:
        assert latest(zoo.state_dir, "zoo").history.finished.value == "done"
        status = json.loads(cli("rollout", "status", zoo.file, "--json").stdout)
        assert status["rollout"]["status"] == "done"


def kill_at(zoo, consumers, cli, positions) -> None:
    with consumers(zoo, 2, pause=0.005) as load, Watch(zoo) as watch:
        for when, number in positions:
            kill_and_resume(zoo, cli, when, number)
    assert load.failures == []
    assert watch.complaints == []
    assert watch.looks > 0


def test_a_controller_killed_at_some_entries(zoo, consumers, cli):
    kill_at(zoo, consumers, cli, random.Random(7).sample(POSITIONS, 3))


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_controller_killed_at_every_entry(zoo, consumers, cli):
    kill_at(zoo, consumers, cli, POSITIONS)


def test_the_entries_of_a_whole_rollout_are_as_many_as_are_tried(zoo, cli):
    done = cli("rollout", "start", zoo.file, "--to", 2, *STEPS)
    assert done.returncode == 0, done.stderr
    assert len(latest(zoo.state_dir, "zoo").events) == ENTRIES
