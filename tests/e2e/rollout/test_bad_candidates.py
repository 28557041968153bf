"""Bad candidates on the embedded server, each stopped by the gate that should stop it; stable never notices."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

#: what is asked of the versions: mostly small numbers, one in ten so big that bad candidates stumble
BIG = 60.0


def draw(count: int) -> np.ndarray:
    return np.array([BIG if count % 10 == 0 else count % 10], np.float32)


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


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_candidate_is_stopped_by_the_gate_for_it(shop, consumers, cli, kind, tmp_path):
    offset, reason, steps = BAD[kind]
    answers = np.array([2.5, 3.0, 0.5]) + offset
    shop.add(2, like="good" if kind == "wrong" else kind, answers=answers)
    options = ["--steps", "50,100", "--bake", "4s", "--check-every", "1s", "--fail-after", 2, "--gate", "memory=20%"]
    if kind == "drifting":
        np.savez(tmp_path / "requests.npz", x=np.array([1.0, 2.0, BIG], np.float32))
        options += ["--requests", tmp_path / "requests.npz", "--gate", "agreement=99%"]

    with consumers(shop, draw=draw) as load:
        result = cli("rollout", "start", shop.file, *options)

    last = result.stderr.strip().splitlines()[-1]
    assert result.returncode == 1, result.stderr
    assert reason in last, last
    assert load.failed["stable"] == 0
    assert shop.served() == ({"stable": 1}, [1])
    assert ("% of the traffic goes to canary" in result.stderr) == bool(steps)
    if kind != "raises":
        assert load.failures == []


def test_the_servers_own_metrics_page_stops_a_candidate_that_raises(shop, consumers, cli):
    shop.add(2, like="raises", answers=np.array([2.5, 3.0, 0.5]))
    options = ["--steps", "100", "--bake", "5s", "--check-every", "1s", "--no-default-gates", "--gate", "metrics=1%"]

    with consumers(shop, draw=draw):
        result = cli("rollout", "start", shop.file, *options)

    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert re.search(r"step 100 %: metrics gate: \d+ of \d+ requests failed, limit 1\.0%$", last), last
    assert shop.served() == ({"stable": 1}, [1])


def test_a_candidate_that_ends_the_server_is_out_and_the_outage_is_told(shop, consumers, cli):
    shop.add(2, like="aborting", answers=np.array([2.5, 3.0, 0.5]))

    with consumers(shop, draw=draw):
        result = cli("rollout", "start", shop.file, "--steps", "50,100", "--bake", "30s", "--ignore-lint", "--json")

    assert result.returncode == 1
    rollout = json.loads(result.stdout)["rollout"]
    assert rollout["status"] == "rolled back"
    assert rollout["reason"] == "the server's process ended while version 2 was being rolled out"
    assert shop.served() == ({"stable": 1}, [1])
    outage = next(note for note in rollout["notes"] if note.startswith("the server did not answer for "))
    assert 0.0 < float(outage.split()[-2]) < 20.0
    assert outage in cli("rollout", "report", shop.file).stdout
