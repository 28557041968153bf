# SPDX-License-Identifier: Apache-2.0
"""The commands smoke, rollout and rollback against a running deployment: output and exit codes."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from support.live import until
from tfs_deploy.client import Client
from tfs_deploy.rollout.begin import latest_rollout
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.state.lock import holder, lock, rollout_purpose


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "tfs_deploy", *map(str, arguments)]


def finished(zoo) -> str | None:
    last = latest_rollout(zoo.state_dir, "zoo")
    return None if last is None or last.history.finished is None else last.history.finished.value


def test_smoke_asks_every_label_over_both_transports(zoo, cli):
    human = cli("smoke", zoo.file)
    assert human.returncode == 0, human.stderr
    assert re.search(r"zoo +label stable +grpc +serving_default +1 .* ok +as recorded", human.stdout)

    document = json.loads(cli("smoke", zoo.file, "--json").stdout)
    assert document["ok"] is True
    checks = [(check["transport"], check["check"], check["version"]) for check in document["checks"]]
    assert checks == [
        ("grpc", "answers", 1),
        ("grpc", "serving_default", 1),
        ("rest", "answers", 1),
        ("rest", "serving_default", 1),
    ]


def test_smoke_fails_on_a_wrong_value_and_names_it_last(zoo, cli):
    x = np.array([1.0, 2.0], np.float32)
    write_goldens(zoo.base / "1", [Golden("serving_default", {"x": x}, {"y": np.array([2.5, 3.25], np.float32)})])

    result = cli("smoke", zoo.file)

    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last == (
        "error: 2 of 4 checks failed; first: zoo label stable, grpc serving_default: failed: "
        "output 'y' at [1]: 3.0 instead of 3.25, largest difference 0.25"
    )
    assert cli("smoke", zoo.file, "--atol", 0.3).returncode == 0
    document = cli("smoke", zoo.file, "--json")
    assert document.returncode == 1
    assert json.loads(document.stdout)["ok"] is False


def test_smoke_fails_when_the_wrong_version_answers(zoo, cli):
    config = (zoo.state_dir / "config" / "models.config").read_text()
    with Client(zoo.address) as client:
        client.reload(config.replace("versions: 1", "versions: 1 versions: 2"))
        client.wait_ready("zoo", version=2)
        client.reload(config.replace("versions: 1", "versions: 1 versions: 2").replace("value: 1", "value: 2"))

    result = cli("smoke", zoo.file)

    assert result.returncode == 1
    assert "label stable, grpc answers: failed: version 2 answered instead of version 1" in result.stderr


def test_smoke_asks_a_version_by_number_and_one_without_goldens_with_made_up_inputs(zoo, cli):
    (zoo.base / "1" / "assets.extra" / "goldens" / "goldens.json").unlink()

    document = json.loads(cli("smoke", zoo.file, "--version", 1, "--json").stdout)

    outcomes = {(check["transport"], check["check"]): check["outcome"] for check in document["checks"]}
    assert outcomes["grpc", "serving_default"] == "ok"
    assert outcomes["rest", "serving_default"] == "ok"
    assert outcomes["grpc", "half16"] == "ok"
    assert outcomes["rest", "half16"] == "skipped"
    missing = cli("smoke", zoo.file, "--version", 2)
    assert missing.returncode == 1
    assert "version 2, grpc answers: failed" in missing.stderr


def test_a_rollout_from_start_to_rollback(zoo, cli):
    started = cli("rollout", "start", zoo.file, "--to", 2, "--steps", "50,100", "--bake", "100ms", "--watch")
    assert started.returncode == 0, started.stderr
    unseen = "no consumer records its requests of zoo, so the traffic of canary is not seen and not judged"
    assert re.match(r"zoo: version 1 to 2: Done after \d+\.\d s, no request was seen\n", started.stdout)
    assert f"note: {unseen}" in started.stdout
    lines = [line for line in started.stderr.splitlines() if line and not re.match(r"[ ─]|canary", line)]
    assert lines == [
        "zoo: version 1 to 2 through 50, 100 %",
        unseen,
        "preflight passed",
        "waiting for version 2 to load",
        "smoke passed: 2 answers as expected",
        "label canary points at version 2",
        "50 % of the traffic goes to canary",
        "50 %: pass (golden, memory, drift; not judged: traffic: no request reached canary)",
        "100 % of the traffic goes to canary",
        "100 %: pass (golden, memory, drift; not judged: traffic: no request reached canary)",
        "label stable points at version 2",
        "all traffic goes to stable",
        "unloading the old version",
        "done",
    ]
    assert zoo.served() == ({"stable": 2}, [2])

    status = json.loads(cli("rollout", "status", zoo.file, "--json").stdout)
    assert status["at_work"] is None
    assert (status["rollout"]["status"], status["rollout"]["to"]) == ("done", 2)
    assert [step["weight"] for step in status["rollout"]["steps"]] == [50, 100]

    back = cli("rollback", zoo.file, "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["rollout"]["to"] == 1
    assert zoo.served() == ({"stable": 1}, [1])


def test_a_canary_without_requests_is_not_healthy_where_they_are_required(zoo, cli):
    options = ("--to", 2, "--steps", "100", "--bake", "0s", "--samples-timeout", "1s", "--no-default-gates")

    result = cli("rollout", "start", zoo.file, *options, "--require-traffic")

    assert result.returncode == 1
    assert "; each step waits for requests" in result.stderr
    error, hint = result.stderr.strip().splitlines()[-3::2]
    assert error.endswith("rolled back: step 100 %: too few samples: traffic gate: no request reached canary")
    assert "--no-require-traffic" in hint
    assert zoo.served() == ({"stable": 1}, [1])


def test_consumers_of_this_week_make_traffic_a_requirement(zoo, cli, consumers):
    with consumers(zoo):
        pass
    planned = [cli("rollout", "plan", zoo.file, "--to", 2, *more, "--json") for more in ((), ("--no-require-traffic",))]

    assert [json.loads(done.stdout)["plan"]["require_traffic"] for done in planned] == [True, False]


def test_requests_between_the_steps_are_counted(zoo, cli, consumers):
    with consumers(zoo) as load:
        result = cli("rollout", "start", zoo.file, "--to", 2, "--steps", "100", "--bake", "1s", "--keep-warm", "2s")

    assert result.returncode == 0, result.stderr
    found = re.search(
        r"requests: (\d+) in the steps \(0 failed\), (\d+) outside them \(0 failed\), (\d+) in all", result.stdout
    )
    inside, outside, total = map(int, found.groups())
    assert inside + outside == total <= sum(load.answers.values())
    assert outside > inside  # settling alone takes longer than the step
    assert not (zoo.state_dir / "requests" / "zoo" / "watched").exists()


def test_a_rollout_that_goes_back_exits_1_with_the_reason_in_one_line(zoo, cli):
    zoo.add(3, like=2, answers=np.zeros(3))

    result = cli("rollout", "start", zoo.file)

    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1] == (
        "error: rollout of zoo from version 1 to 3 rolled back: smoke: zoo version 3, grpc serving_default: failed: "
        "output 'y' at [0]: 3.5 instead of 0.0, largest difference 4"
    )
    document = cli("rollout", "start", zoo.file, "--json")
    assert document.returncode == 1
    assert json.loads(document.stdout)["rollout"]["status"] == "rolled back"
    assert zoo.served() == ({"stable": 1}, [1])


@pytest.fixture
def running(zoo):
    """A rollout in a process of its own, in its first traffic step."""
    arguments = command("rollout", "start", zoo.file, "--to", 2, "--steps", "10,100", "--bake", "60s")
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: zoo.traffic_path.exists() and '"canary"' in zoo.traffic_path.read_text())
    yield process
    process.kill()
    process.communicate()


def test_a_killed_rollout_says_how_to_go_on_and_does(zoo, running, cli):
    locked = cli("rollout", "resume", zoo.file)
    assert locked.returncode == 4
    assert f"process {running.pid}" in locked.stderr
    running.kill()
    running.wait()

    status = cli("rollout", "status", zoo.file)
    assert "Running" in status.stdout
    assert "no process is at work on it; continue with: tfs-deploy rollout resume" in status.stderr
    assert cli("rollout", "pause", zoo.file).returncode == 2
    assert zoo.served() == ({"stable": 1, "canary": 2}, [1, 2])
    aborted = cli("rollback", zoo.file)
    assert aborted.returncode == 0, aborted.stderr
    assert zoo.served() == ({"stable": 1}, [1])


def test_who_is_at_work_on_another_model_is_not_asked_but_waited_for(zoo, running, cli):
    running.kill()
    running.wait()
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock(zoo.state_dir, rollout_purpose("other")))
        assert "no process is at work on it" in cli("rollout", "status", zoo.file).stderr
        assert cli("rollout", "pause", zoo.file).returncode == 2
        promote = cli("rollout", "promote", zoo.file)
        assert (promote.returncode, "rollout of other" in promote.stderr) == (4, True)
        late = cli("rollback", zoo.file, "--timeout", "0.2")
        assert (late.returncode, "rollout of other" in late.stderr) == (4, True)
        threading.Timer(0.5, stack.pop_all().close).start()
        back = cli("rollback", zoo.file)
    assert back.returncode == 0, back.stderr
    assert "waiting for " in back.stderr
    assert zoo.served() == ({"stable": 1}, [1])


def test_an_abort_is_carried_out_here_if_the_process_at_work_dies_of_it(zoo, running, cli):
    running.send_signal(signal.SIGSTOP)  # it holds the lock, and never reads what it is asked
    threading.Timer(1.0, running.kill).start()
    aborted = cli("rollout", "abort", zoo.file)
    assert aborted.returncode == 0, aborted.stderr
    assert "the process at work ended without rolling back" in aborted.stderr
    assert zoo.served() == ({"stable": 1}, [1])


def test_a_running_rollout_is_paused_resumed_and_aborted_from_outside(zoo, running, cli):
    status = cli("rollout", "status", zoo.file)
    assert re.search(r"zoo: version 1 to 2, canary, \d+ s; 10 % for \d+ s", status.stdout)
    assert "traffic: 10 % canary, 90 % stable" in status.stdout
    document = json.loads(cli("rollout", "status", zoo.file, "--json").stdout)
    assert (document["phase"], document["traffic"]) == ("step", {"canary": 10.0, "stable": 90.0})
    assert document["at_work"]["pid"] == running.pid
    paused = cli("rollout", "pause", zoo.file)
    assert paused.returncode == 0, paused.stderr
    assert running.wait(100) == 1
    assert finished(zoo) == "paused"
    assert zoo.served() == ({"stable": 1, "canary": 2}, [1, 2])

    arguments = command("rollout", "resume", zoo.file)
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as resumed:
        try:
            assert resumed.stderr.readline() == "zoo: version 1 to 2 resumed\n"
            aborted = cli("rollout", "abort", zoo.file)
            assert resumed.wait(100) == 1
        finally:
            resumed.kill()
    assert aborted.returncode == 0, aborted.stderr
    assert "asking the process at work to roll back" in aborted.stderr
    assert finished(zoo) == "rolled back"
    assert zoo.served() == ({"stable": 1}, [1])


def test_an_interrupt_leaves_everything_and_says_how_to_go_on(zoo, running):
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=300)

    assert running.returncode == 130
    assert f"continue with: tfs-deploy rollout resume {zoo.file}, or rollout abort" in errors
    assert holder(zoo.state_dir) is None
    assert zoo.served() == ({"stable": 1, "canary": 2}, [1, 2])


def test_commands_without_a_server_exit_3_and_leave_no_journal(zoo, cli):
    cli("down", zoo.file)

    started = time.monotonic()
    smoke, rollout = cli("smoke", zoo.file), cli("rollout", "start", zoo.file, "--to", 2)

    assert smoke.returncode == 1
    assert "grpc answers: failed" in smoke.stderr
    assert rollout.returncode == 3
    assert "hint:" in rollout.stderr
    assert not (zoo.state_dir / "rollouts").exists()
    assert time.monotonic() - started < 60


def test_a_rollback_to_the_version_that_is_being_rolled_out_does_not_wait(zoo, cli):
    arguments = command("rollout", "start", zoo.file, "--to", 2, "--steps", "10,100", "--bake", "60s")
    rolling = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: '"canary"' in zoo.traffic_path.read_text())
        began = time.monotonic()
        refused = cli("rollback", zoo.file, "--to", 2)
        assert time.monotonic() - began < 20
        assert refused.returncode == 2
        assert "the rollout of zoo from version 1 to 2 is unfinished" in refused.stderr
        assert "rollout promote" in refused.stderr
        assert "--skip-steps" in refused.stderr
        locked = cli("up", zoo.file)
        assert locked.returncode == 4
        assert f"(process {rolling.pid}) since " in locked.stderr
        assert "--wait-lock" not in locked.stderr
    finally:
        rolling.terminate()
        rolling.wait()
    assert cli("rollout", "abort", zoo.file).returncode == 0
