# SPDX-License-Identifier: Apache-2.0
"""Strategies, hooks, recorded requests and replicas on the embedded server, driven as a user drives them."""

from __future__ import annotations

import json
import re
import threading
import time

import numpy as np
import pytest

from tfs_deploy.client import Client, Router
from tfs_deploy.client.routing import router, router_base
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.rollout import Rollout, Status, Verdict
from tfs_deploy.rollout.adapters.deployed_server import SystemClock
from tfs_deploy.rollout.machine.actions import Finish, Wait


class EvenClock(threading.local):
    """A clock by which each request takes 5 ms, however busy this machine is."""

    monotonic = staticmethod(time.monotonic)
    now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.005
        return self.now


def test_what_consumers_record_is_judged_without_being_asked_for(zoo, consumers, monkeypatch):
    clock = EvenClock()
    for module in (router, router_base):
        monkeypatch.setattr(module, "time", clock)
    with consumers(zoo):
        result = Rollout(zoo.deployment, "zoo", to=2, steps=(50, 100), bake=1.5, check_every=1.5).run()

    step = result.steps[0]
    latencies = ("p50", "p90", "p99")
    assert [entry.gate for entry in step.verdicts] == ["golden", "errors", "finite", *latencies, "memory", "drift"]
    assert step.windows["canary"].requests > 30
    assert step.windows["stable"].requests > 30
    assert step.windows["canary"].p99 == pytest.approx(0.005, rel=0.2)


def test_a_switch_of_everything_is_judged_without_a_comparison_that_cannot_be(zoo, consumers):
    with consumers(zoo) as load:
        options = {"strategy": "blue-green", "bake": 1.2, "gates": ["p99=5s"]}
        result = Rollout(zoo.deployment, "zoo", to=2, **options).run()

    assert [entry.gate for entry in result.steps[0].verdicts] == [
        "golden",
        "p99",
        "errors",
        "finite",
        "memory",
        "drift",
    ]
    assert load.failures == []
    assert zoo.served() == ({"stable": 2}, [2])


def test_the_servers_own_metrics_page_lets_a_good_version_pass(zoo, consumers):
    with consumers(zoo, 2):
        options = {"steps": (100,), "bake": 1.0, "check_every": 0.5, "default_gates": False, "gates": ["metrics=1%"]}
        result = Rollout(zoo.deployment, "zoo", to=2, **options).run()

    golden, metrics = result.steps[0].verdicts
    assert (golden.gate, metrics.gate, metrics.verdict) == ("golden", "metrics", Verdict.PASS)
    assert int(re.fullmatch(r"0 of (\d+) requests failed", metrics.reason)[1]) >= 30


def test_a_shadow_is_compared_and_answers_nobody_before_the_promotion(zoo, consumers):
    seen = []
    with consumers(zoo) as load:
        rollout = Rollout(zoo.deployment, "zoo", to=2, strategy="shadow", steps=(100,), bake=1.5, gates=["drift=10"])
        rollout.on_step = lambda step: seen.append((step, load.answers[2]))
        result = rollout.run()

    step, answers = seen[0]
    assert answers == 0
    assert load.failures == []
    assert step.windows["canary"].requests > 30
    compared = step.windows["canary"].compared["y"]
    assert compared.count > 30
    assert compared.distance == pytest.approx(0.5, rel=1e-3)  # y is 2.5, 3, 0.5 with version 1 and each 1 more with 2
    assert (result.status, zoo.served()) == (Status.DONE, ({"stable": 2}, [2]))


def test_a_shadow_that_drifts_is_sent_back_without_having_answered_anybody(zoo, consumers):
    with (
        consumers(zoo) as load,
        pytest.raises(VerdictError, match=r"drift gate: output 'y': distance 0\.5 from stable"),
    ):
        Rollout(zoo.deployment, "zoo", to=2, strategy="shadow", bake=1.0, gates=["drift=0.1"]).run()

    assert load.answers[2] == 0
    assert load.failures == []
    assert zoo.served() == ({"stable": 1}, [1])
    assert "copies" not in json.loads(zoo.traffic_path.read_text())


def test_an_experiment_holds_its_split_and_reports_each_arm(zoo, cli):
    experiment = Rollout(zoo.deployment, "zoo", to=2, strategy="ab", steps=(50,), bake=1.5, min_samples=5)
    with Client(zoo.address) as client:
        router = Router(client, "zoo", zoo.traffic_path)
        router.predict({"x": np.ones(1, np.float32)})
        router.close()  # so that the rollout knows that somebody records
        with experiment:
            while not isinstance(action := experiment.tick(), Finish):
                for user in range(40):
                    label = router.choose(user)
                    reply = router.predict({"x": np.ones(1, np.float32)}, label=label)
                    router.outcome(float(reply.version == 2 or user % 4 == 0), label=label)
                if isinstance(action, Wait):
                    SystemClock().sleep(min(action.seconds, 0.05))
            result = experiment.result
        split = router.weights
        router.close()

    assert (result.status, result.reason.split(":")[0]) == (Status.PAUSED, "the experiment is over")
    assert split == {"stable": 50.0, "canary": 50.0}
    outcomes = {label: window.outcomes for label, window in result.steps[0].windows.items()}
    assert outcomes["canary"].mean == 1.0
    assert outcomes["stable"].mean < 0.6

    shown = cli("rollout", "status", zoo.file)
    assert re.search(r"outcome +canary +\d+ +1 .* yes", shown.stdout), shown.stdout
    promoted = cli("rollout", "promote", zoo.file)
    assert promoted.returncode == 0, promoted.stderr
    assert "approved" in promoted.stderr
    assert zoo.served() == ({"stable": 2}, [2])


def test_hooks_gates_and_notifications_of_the_command_line(zoo, cli, tmp_path):
    log = tmp_path / "told"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ncat >> {log}; echo >> {log}\n")
    hook.chmod(0o755)

    done = cli(
        *(
            "rollout",
            "start",
            zoo.file,
            "--to",
            2,
            "--strategy",
            "blue-green",
            "--bake",
            "100ms",
            "--keep-warm",
            "100ms",
        ),
        *("--hook", f"before:promote={hook}", "--hook", f"after:step={hook}", "--notify", hook, "--manual"),
        *("--gate", "command=test $percent = 100", "--gate", "command=true", "--no-default-gates"),
    )

    assert done.returncode == 1
    assert "paused: all steps passed: rollout promote goes on" in done.stderr
    assert "100 %: pass (golden, command, command 2; not judged: traffic: no request reached canary)" in done.stderr
    assert cli("rollout", "promote", zoo.file).returncode == 0
    told = [json.loads(line) for line in log.read_text().splitlines() if line]
    assert {(entry.get("when"), entry["phase"]) for entry in told if "when" in entry} == {
        ("after", "step"),
        ("before", "promote"),
    }
    assert [entry["phase"] for entry in told if "when" not in entry][:2] == ["preflight", "load"]
    assert told[-1] | {"phase": "retire", "status": "done", "to": 2} == told[-1]


def test_a_hook_that_objects_ends_with_exit_code_1(zoo, cli):
    refused = cli("rollout", "start", zoo.file, "--to", 2, "--hook", "before:label=sh -c 'echo not today; exit 1'")

    assert refused.returncode == 1
    assert refused.stderr.strip().endswith(
        "rolled back: label failed: the hook before label failed: sh ended with exit code 1: not today"
    )
    assert zoo.served() == ({"stable": 1}, [1])


def test_plan_history_and_report(zoo, cli, tmp_path):
    plan = cli("rollout", "plan", zoo.file, "--to", 2, "--steps", "10,100", "--bake", "5m")
    assert plan.returncode == 0, plan.stderr
    assert (
        "fastest promotion: 10 min after the start, plus the time for loading and smoke; done after 10 min 1 s"
        in plan.stdout
    )
    assert "fastest rollback: a fault in a step is detected within 5.0 s" in plan.stdout
    assert json.loads(cli("rollout", "plan", zoo.file, "--json").stdout)["seconds"]["back"] < 1
    assert zoo.served() == ({"stable": 1}, [1])
    assert "was never rolled out" in cli("rollout", "history", zoo.file).stdout
    assert cli("rollout", "report", zoo.file).returncode == 2

    Rollout(zoo.deployment, "zoo", to=2, steps=(100,), bake=0).run()
    zoo.add(3, like=2, answers=np.zeros(3))
    Rollout(zoo.deployment, "zoo", to=3).run(check=False)

    found = json.loads(cli("rollout", "history", zoo.file, "--json").stdout)["rollouts"]
    assert [(entry["number"], entry["to"], entry["status"]) for entry in found] == [
        (2, 3, "rolled back"),
        (1, 2, "done"),
    ]
    assert "## Rollout of zoo: version 2 to 3" in cli("rollout", "report", zoo.file).stdout
    page = tmp_path / "report.html"
    assert cli("rollout", "report", zoo.file, "--number", 1, "--html", page).returncode == 0
    assert "Rollout of zoo: version 1 to 2" in page.read_text()
    assert "has no rollout number 7" in cli("rollout", "report", zoo.file, "--number", 7).stderr


def test_a_lock_that_hangs_is_shown_waited_for_and_released(zoo, cli):
    assert cli("lock", "status", zoo.file).stdout == "not locked\n"
    rollout = Rollout(zoo.deployment, "zoo", to=2, steps=(10, 100), bake=60)
    with rollout:
        while not isinstance(rollout.tick(), Wait) or "weigh" not in rollout._opened[0].history.intended:
            pass
        assert ": rollout of zoo" in cli("lock", "status", zoo.file).stdout
        waited = cli("rollout", "resume", zoo.file, "--wait-lock", "300ms")
        assert waited.returncode == 4
        released = cli("lock", "release", zoo.file)
        assert released.returncode == 0, released.stderr
        with pytest.raises(Exception, match="released by force"):
            rollout.tick()
    aborted = cli("rollout", "abort", zoo.file)
    assert aborted.returncode == 0, aborted.stderr
    assert cli("lock", "release", zoo.file).returncode == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "canaries"}, "unknown strategy: canaries"),
        ({"strategy": "ab", "steps": (10, 50)}, "do not fit an experiment"),
        ({"strategy": "blue-green", "steps": (10, 100)}, "do not fit blue-green"),
        ({"gates": ["erors=1%"]}, "unknown gate: erors"),
        ({"hooks": ("before:x=true",)}, "unknown phase: x"),
        ({"replicas": ("nowhere",)}, "is not a valid server address"),
        ({"gates": ["drift=1"], "requests_file": "/nowhere.npz"}, "holds no requests"),
        ({"retain": 1}, "has to stay"),
        ({"strategy": "blue-green", "gates": ["p99=1.5x"]}, "p99=1.5x compares with stable, which gets no requests"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_touched(zoo, options, message):
    with pytest.raises(UsageError, match=message):
        Rollout(zoo.deployment, "zoo", to=2, **options).run()

    assert zoo.served() == ({"stable": 1}, [1])
    with pytest.raises(UsageError, match="no unfinished rollout"):
        Rollout.abort(zoo.deployment, "zoo").run()


def test_old_versions_are_removed_from_the_disk(zoo):
    for version in (3, 4):
        zoo.add(version, like=2, answers=np.array([3.5, 4.0, 1.5]))

    result = Rollout(zoo.deployment, "zoo", to=4, steps=(100,), bake=0, retain=2).run()

    assert "versions removed from the disk: 2" in result.notes  # 1 is in the deployment file
    assert sorted(path.name for path in zoo.base.iterdir() if path.name.isdigit()) == ["1", "3", "4"]


def test_a_gate_whose_numbers_stay_away_never_passes(zoo, free_port):
    gate = f"url=http://127.0.0.1:{free_port}/kpi :: $.ctr > 0.1"

    result = Rollout(zoo.deployment, "zoo", to=2, bake=0.1, samples_timeout=0.3, gates=[gate]).run(check=False)

    assert result.status is Status.ROLLED_BACK
    assert "too few samples: url gate: http://127.0.0.1" in result.reason
    assert result.steps[0].verdict is Verdict.TOO_FEW
