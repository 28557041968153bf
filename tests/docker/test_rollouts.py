"""Rollouts on a server in a container of a real engine: under load, with a bad candidate, with a server that dies."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter

import numpy as np
import pytest

from live import until
from tfs_deploy.client import Client, Router, read_traffic
from tfs_deploy.errors import StatusError
from tfs_deploy.rollout import Rollout, RolloutResult, Status
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.spec import load_deployment

pytestmark = pytest.mark.docker
X = np.array([1.0, 2.0, 5.0], np.float32)


class Consumers:
    """Threads that send one request after the other and keep every failure."""

    def __init__(self, shop, count: int = 4) -> None:
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._shop = shop
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(count)]

    def _work(self) -> None:
        with Client(f"127.0.0.1:{self._shop.port}") as client:
            router = Router(client, "hp", self._shop.state / "traffic.json")
            while not self._stop.is_set():
                self._ask(router)
            router.close()

    def _ask(self, router: Router) -> None:
        try:
            reply = router.predict({"x": X})
            np.testing.assert_allclose(reply["y"], X / 2 + 2)
            self.answers[reply.version] += 1
        except (StatusError, AssertionError) as error:
            self.failures.append(str(error))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        until(lambda: sum(self.answers.values()) > 50)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def shop(shared_shop):
    """A deployment of versions 123 and 124, which agree, and 125, whose recorded answers are wrong."""
    shop = shared_shop
    base = shop.folder / "hp"
    shutil.copytree(base / "00000124", base / "125")
    for folder, offset in (("00000123", 2.0), ("00000124", 2.0), ("125", 3.0)):
        write_goldens(base / folder, [Golden("serving_default", {"x": X}, {"y": (X / 2 + offset).astype(np.float32)})])
    assert shop.json("up")["started"] is True
    return shop


def roll(shop, to: int, **options) -> RolloutResult:
    wanted = {"to": to, "steps": (50, 100), "bake": 1.2, "need_warmup": False, "need_clean": False, **options}
    on_event = wanted.pop("on_event", None)
    return Rollout(load_deployment(shop.path), "hp", **wanted).run(check=False, on_event=on_event)


def served(shop) -> tuple[int, list[int]]:
    with Client(f"127.0.0.1:{shop.port}") as client:
        available = sorted(status.version for status in client.status("hp") if status.available)
        return client.metadata("hp", label="stable").version, available


def test_a_rollout_and_a_rollback_under_load_fail_no_request(shop):
    with Consumers(shop) as load:
        result = roll(shop, 124)
        assert (result.status, served(shop)) == (Status.DONE, (124, [124])), result.reason
        back = Rollout.back(load_deployment(shop.path), "hp").run(check=False)
        assert (back.status, served(shop)) == (Status.DONE, (123, [123])), back.reason
    assert load.failures == []
    assert min(load.answers[123], load.answers[124]) > 50
    assert [step.verdict.value for step in result.steps] == ["pass", "pass"]
    assert {"errors", "p99", "memory"} <= {entry.gate for entry in result.steps[0].verdicts}


def test_a_bad_candidate_never_answers_anybody(shop):
    with Consumers(shop) as load:
        words = [*shop.line("rollout")[:4], "start", shop.path, "--to", "125", "--ignore-lint"]
        refused = subprocess.run(words, capture_output=True, text=True, timeout=100, env=shop.environment)
    assert refused.returncode == 1
    assert "smoke: hp version 125, grpc serving_default: failed: output 'y' at [0]" in refused.stderr.splitlines()[-1]
    assert load.failures == []
    assert set(load.answers) == {123}
    assert served(shop) == (123, [123])


def test_a_server_that_is_killed_in_a_step(shop):
    """The engine starts it again from the files, or the controller does; either way the end is one of the two."""

    def kill(line: str) -> None:
        if line == "50 % of the traffic goes to canary":
            with contextlib.suppress(ProcessLookupError):
                os.kill(shop.inspect()["State"]["Pid"], signal.SIGKILL)

    result = roll(shop, 124, on_event=kill, gates=["command=true"], default_gates=False)

    assert result.status in (Status.DONE, Status.ROLLED_BACK), result.reason
    stable = 124 if result.status is Status.DONE else 123
    assert served(shop) == (stable, [stable])
    assert read_traffic(shop.state / "traffic.json").models["hp"] == {"stable": 100.0}
    # An engine is quick enough to start it again between two looks of the controller.
    told = any(note.startswith("the server did not answer for ") for note in result.notes)
    assert told or shop.inspect()["RestartCount"] == 1
