# SPDX-License-Identifier: Apache-2.0
"""``up``, ``status``, ``logs``, ``down`` with the real embedded server."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import yaml

from support.forked_command import run_command
from support.live import free_ports, until
from tfs_deploy.client import Client, Router, read_traffic
from tfs_deploy.client.deployed import DeployedClient
from tfs_deploy.config.models import parse
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.processes import start_time
from tfs_deploy.host.tcp_ports import is_free, listening_addresses
from tfs_deploy.state.active import read_active, write_active
from tfs_deploy.state.journal import JournalFile
from tfs_deploy.state.lock import lock, rollout_purpose
from tfs_deploy.state.server_record import Role, read_server

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


class Shop:
    """A deployment in a folder of its own, on free ports."""

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self.path = folder / "shop.yaml"
        shutil.copytree(models / "saved_model_half_plus_two_2_versions", folder / "hp")
        shutil.copytree(models / "saved_model_half_plus_three", folder / "three")
        self.port, self.rest_port = free_ports(2)
        self.model = {
            "name": "hp",
            "base_path": "hp",
            "versions": {"specific": [123]},
            "labels": {"stable": 123},
            "traffic": {"stable": 100},
        }
        self.document = {
            "name": "shop",
            "server": {"grpc_port": self.port, "rest_port": self.rest_port},
            "models": [self.model],
        }
        self.write()

    def write(self) -> None:
        self.path.write_text(yaml.safe_dump(self.document, sort_keys=False))

    def cli(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(command, self.path, *arguments, cwd=self.folder, env=ENVIRONMENT)

    def json(self, command: str, *arguments: str) -> dict:
        done = self.cli(command, "--json", *arguments)
        assert done.stdout, done.stderr
        return json.loads(done.stdout) | {"exit_code": done.returncode}

    @property
    def state(self) -> Path:
        return self.folder / ".tfs-deploy/shop"


@pytest.fixture
def shop(tmp_path, models):
    shop = Shop(tmp_path, models)
    yield shop
    shop.write()
    record = read_server(shop.state)
    shop.cli("down")
    assert record is None or start_time(record.pid) in (None, not record.started)


def predict(client: Client, **which) -> float:
    return float(client.predict("hp", {"x": np.array([2.0], np.float32)}, **which)["y"][0])


@contextlib.contextmanager
def calls_by_label(port: int):
    """Call label stable all the time; every call is answered."""
    stop = threading.Event()
    asked = itertools.count()
    answers: list[float] = []

    def load() -> None:
        with Client(f"127.0.0.1:{port}") as client:
            while not stop.is_set():
                next(asked)
                with contextlib.suppress(TfsDeployError):
                    answers.append(predict(client, label="stable"))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert answers
    assert len(answers) == next(asked)


def test_the_whole_life_of_a_deployment(shop):
    assert shop.cli("status").returncode == 1

    started = shop.json("up")
    assert started.get("started") is True, started
    assert started["changes"] == ["hp: specific 123"]
    assert listening_addresses(shop.port) == {"127.0.0.1"}
    with Client(f"127.0.0.1:{shop.port}") as client:
        assert predict(client, label="stable") == 3.0
    assert read_traffic(shop.state / "traffic.json").models == {"hp": {"stable": 100.0}}

    again = shop.json("up")
    assert (again["started"], again["pid"], again["changes"]) == (False, started["pid"], [])

    status = shop.json("status")
    assert status["exit_code"] == 0
    assert status["models"] == [
        {
            "name": "hp",
            "versions": [
                {
                    "version": 123,
                    "state": "AVAILABLE",
                    "labels": ["stable"],
                    "traffic": 100.0,
                    "message": "",
                    "wanted": True,
                }
            ],
        }
    ]
    table = shop.cli("status").stdout
    assert "hp     123      AVAILABLE  stable  100 %" in table

    logs = shop.cli("logs", "-n", "1000").stdout
    assert "serving hp version 123" in logs

    stopped = shop.json("down")
    server = f"server {started['pid']}"
    assert stopped == {"stopped": True, "server": server, "pid": started["pid"], "exit_code": 0}
    assert is_free(shop.port)
    assert shop.cli("down").returncode == 0
    assert "is not running" in shop.cli("status").stdout


def test_a_running_server_follows_the_file_without_failing_a_request(shop):
    pid = shop.json("up")["pid"]
    with calls_by_label(shop.port):
        shop.model |= {"versions": {"specific": [124]}, "labels": {"stable": 124}}
        shop.document["models"].append({"name": "three", "base_path": "three", "versions": "all", "labels": {"a": 123}})
        shop.write()
        changed = shop.json("up")
    assert changed["pid"] == pid
    assert changed["changes"] == [
        "three: added",
        "hp: versions specific 123 -> specific 124",
        "hp: label stable 123 -> 124",
    ]
    written = parse((shop.state / "config/models.config").read_text())
    assert list(written.model_config_list.config[0].model_version_policy.specific.versions) == [124]
    status = shop.json("status")
    assert status["exit_code"] == 0
    assert [[row["version"] for row in model["versions"]] for model in status["models"]] == [[124], [123]]

    shop.document["models"].pop()
    shop.write()
    assert shop.json("up")["changes"] == ["three: removed"]
    assert shop.json("status")["exit_code"] == 0


def test_a_server_that_drifted_from_its_file_is_brought_back_without_failing_a_request(shop):
    shop.model |= {"versions": {"specific": [124]}, "labels": {"stable": 124}}
    shop.write()
    shop.json("up")
    written = parse((shop.state / "config/models.config").read_text())
    with Client(f"127.0.0.1:{shop.port}") as client:
        # another program takes the server back to version 123, past the file and what is written for the server
        for versions, stable in [((123, 124), 124), ((123, 124), 123), ((123,), 123)]:
            config = written.model_config_list.config[0]
            config.model_version_policy.specific.versions[:] = versions
            config.version_labels["stable"] = stable
            client.reload(written, timeout=60)
            client.wait_ready("hp", version=123, timeout=60)
    with calls_by_label(shop.port):
        steps = shop.json("up")["steps"]
    assert [step for step in steps if "label stable" in step] == [
        "point label stable of hp at version 124, from version 123"
    ]
    assert "unload hp version 123" in steps
    assert shop.json("plan")["action"] == "none"


def test_what_needs_another_server_gets_one_on_the_same_ports(shop):
    first = shop.json("up")
    shop.document["server"]["flags"] = {"num_load_threads": 2}
    shop.document["batching"] = {"max_batch_size": 4}
    shop.write()
    changed = shop.json("up")
    assert changed["exit_code"] == 0
    assert changed["pid"] != first["pid"]
    assert changed["grpc_address"] == first["grpc_address"]
    assert changed["gap_seconds"] > 0
    assert "num_load_threads: none -> 2" in changed["changes"]
    assert "enable_batching: none -> true" in changed["changes"]
    assert start_time(first["pid"]) is None
    with Client(f"127.0.0.1:{shop.port}") as client:
        assert predict(client, label="stable") == 3.0
    assert shop.json("up")["changes"] == []
    left = sorted(path.name for path in shop.state.glob("*.json"))
    assert left == ["endpoint.json", "last_start.json", "server.json", "traffic.json"]
    assert len(list(shop.state.glob("config.*"))) == 1
    assert "s downtime)" in shop.cli("restart").stdout


def test_a_successor_that_does_not_come_up_leaves_the_old_server_alone(shop):
    first = shop.json("up")
    shop.document["server"]["flags"] = {"saved_model_tags": "nosuch"}
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 3
    assert "the server did not start" in done.stderr
    del shop.document["server"]["flags"]
    shop.write()
    again = shop.json("up")
    assert (again["pid"], again["changes"]) == (first["pid"], [])
    assert len(list(shop.state.glob("config.*"))) == 1


def test_with_a_second_pair_of_ports_no_request_fails(shop):
    pair = dict(zip(("grpc_port", "rest_port"), free_ports(2), strict=True))
    shop.document["server"]["alternate_ports"] = pair
    shop.write()
    first = shop.json("up")
    stop = threading.Event()
    answers: list[float] = []
    failed: list[TfsDeployError] = []

    def load() -> None:
        with DeployedClient(shop.state) as client:
            router = Router(client, "hp", shop.state / "traffic.json")
            while not stop.is_set():
                try:
                    reply = router.predict({"x": np.array([2.0], np.float32)})
                    answers.append(float(reply["y"][0]))
                except TfsDeployError as error:  # noqa: PERF203
                    failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        moved = [shop.json("restart"), shop.json("restart")]
    finally:
        stop.set()
        thread.join()
    assert [entry["gap_seconds"] for entry in moved] == [0, 0]
    assert moved[0]["grpc_address"] == f"127.0.0.1:{pair['grpc_port']}"
    assert moved[1]["grpc_address"] == first["grpc_address"]
    assert failed == []
    assert set(answers) == {3.0}
    assert is_free(pair["grpc_port"])


def test_what_a_killed_replacement_left_is_cleared_by_the_next_up(shop):
    pid = shop.json("up")["pid"]
    shop.document["server"]["flags"] = {"num_load_threads": 2}
    shop.write()
    line = [sys.executable, "-m", "tfs_deploy", "up", str(shop.path)]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    left = until(lambda: read_server(shop.state, Role.SUCCESSOR))
    process.kill()
    process.wait()
    assert start_time(left.pid) is not None
    assert shop.json("status")["pid"] == pid
    healed = shop.json("up")
    assert f"stopped server {left.pid}, left over from a replacement that was cut off" in healed["notes"]
    assert start_time(left.pid) is None
    assert healed["exit_code"] == 0


def test_first_labels_need_no_restart(shop):
    del shop.model["labels"], shop.model["traffic"]
    shop.write()
    pid = shop.json("up")["pid"]
    shop.model["labels"] = {"stable": 123}
    shop.write()
    changed = shop.json("up")
    assert (changed["pid"], changed["changes"]) == (pid, ["hp: label stable set to 123"])
    assert shop.json("status")["models"][0]["versions"][0]["labels"] == ["stable"]


def test_a_broken_new_version_leaves_the_old_one_serving(shop):
    shop.json("up")
    shutil.copytree(shop.folder / "hp/00000124", shop.folder / "hp/125")
    (shop.folder / "hp/125/saved_model.pb").write_bytes(b"junk")
    shop.model |= {"versions": {"specific": [123, 125]}, "labels": {"stable": 125}}
    shop.write()
    done = shop.cli("up")
    assert done.returncode != 0
    assert "version 125" in done.stderr
    with Client(f"127.0.0.1:{shop.port}") as client:
        assert client.predict("hp", {"x": np.array([2.0], np.float32)}, label="stable").version == 123
    status = shop.json("status")
    assert status["exit_code"] == 1
    assert {row["version"]: row["state"] for row in status["models"][0]["versions"]} == {123: "AVAILABLE", 125: "END"}

    shop.model |= {"versions": {"specific": [123, 124]}, "labels": {"stable": 124}}
    shop.write()
    assert shop.cli("up").returncode == 0


def test_a_broken_first_version_leaves_nothing_behind(shop):
    (shop.folder / "hp/00000123/saved_model.pb").write_bytes(b"junk")
    done = shop.cli("up")
    assert done.returncode == 3
    assert "the server did not start" in done.stderr
    assert is_free(shop.port)
    assert read_server(shop.state) is None
    assert "loading hp version 123 failed" in shop.cli("logs").stdout


def test_a_port_in_use_names_who_has_it(shop):
    with socket.create_server(("127.0.0.1", shop.port)):
        done, planned = shop.cli("up"), shop.json("plan")
    assert done.returncode == 3
    assert planned["exit_code"] == 1
    assert f"port {shop.port} is in use by process {os.getpid()}" in planned["refused"][0]
    assert f"port {shop.port} is in use by process {os.getpid()}" in done.stderr
    assert read_server(shop.state) is None


def test_a_server_whose_clients_have_certificates_of_another_authority(shop):
    def openssl(line: str) -> None:
        subprocess.run(["openssl", *line.split()], check=True, capture_output=True, cwd=shop.folder)

    new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    openssl(f"{new} -x509 -days 2 -subj /CN=models.internal -keyout server.key -out server.crt")
    openssl(f"{new} -x509 -days 2 -subj /CN=clients -keyout ca.key -out ca.crt")
    openssl(f"{new} -subj /CN=toolkit -keyout toolkit.key -out toolkit.csr")
    openssl("x509 -req -in toolkit.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out toolkit.crt")
    server = {"key": "server.key", "cert": "server.crt", "ca": "ca.crt", "client_verify": True}
    shop.document["ssl"] = server
    shop.write()
    refused = shop.cli("up")
    assert refused.returncode == 2
    assert "ca.crt did not sign" in refused.stderr
    shop.document["ssl"] = server | {"client_key": "toolkit.key", "client_cert": "toolkit.crt"}
    shop.write()
    assert shop.json("up")["exit_code"] == 0
    assert shop.json("status")["exit_code"] == 0


def test_a_server_that_died_is_noticed_and_started_again(shop):
    pid = shop.json("up")["pid"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: start_time(pid) is None)
    done = shop.cli("status")
    assert done.returncode == 1
    assert "has ended unexpectedly" in done.stdout
    started = shop.json("up")
    assert started.get("started") is True, started
    assert started["pid"] != pid


def test_one_at_a_time(shop):
    with lock(load_deployment(shop.path).state_dir, "a test"):
        for command in ("up", "down"):
            done = shop.cli(command)
            assert done.returncode == 4
            assert f"(process {os.getpid()})" in done.stderr


def test_an_interrupted_start_leaves_nothing(shop):
    line = [sys.executable, "-m", "tfs_deploy", "up", str(shop.path)]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    record = until(lambda: read_server(shop.state))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 130
    assert start_time(record.pid) is None
    assert read_server(shop.state) is None


def test_after_a_rollout_a_restart_keeps_what_it_left_and_an_edit_ends_it(shop):
    deployment = load_deployment(shop.path)
    record = ActiveModel.of(deployment.models[0], (123, 124), {"stable": 124, "previous": 123})
    write_active(shop.state, {"hp": record})
    shop.json("up")
    labels = {row["version"]: row["labels"] for row in shop.json("status")["models"][0]["versions"]}
    assert labels == {123: ["previous"], 124: ["stable"]}
    shop.json("down")
    shop.json("up")
    assert read_active(shop.state) == {"hp": record}

    shop.model["labels"] = {"stable": 123, "also": 123}
    shop.model["traffic"] = {"stable": 50, "also": 50}
    shop.write()
    edited = shop.json("up")
    assert "was edited" in edited["notes"][0]
    assert read_active(shop.state) == {}
    labels = {row["version"]: row["labels"] for row in shop.json("status")["models"][0]["versions"]}
    assert labels == {123: ["also", "stable"]}
    assert read_traffic(shop.state / "traffic.json").models == {"hp": {"stable": 50.0, "also": 50.0}}


def test_a_version_that_a_rollout_left_and_somebody_deleted(shop):
    deployment = load_deployment(shop.path)
    write_active(shop.state, {"hp": ActiveModel.of(deployment.models[0], (7,), {"stable": 7})})
    done = shop.cli("up")
    assert done.returncode == 2
    assert "should serve version 7, which is not in" in done.stderr


def test_logs_are_followed_until_the_server_ends(shop):
    shop.json("up")
    line = [sys.executable, "-m", "tfs_deploy", "logs", str(shop.path), "-f", "-n", "1"]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stdout is not None
    assert process.stdout.readline()
    shop.json("down")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def test_logs_of_a_deployment_that_never_ran(shop):
    done = shop.cli("logs")
    assert done.returncode == 2
    assert "has no server log yet" in done.stderr


def test_a_plan_says_what_up_then_does(shop):
    shop.json("up")
    assert shop.json("plan", "--detailed-exitcode")["exit_code"] == 0
    shop.model |= {"versions": {"specific": [124]}, "labels": {"stable": 124}}
    shop.write()
    plan = shop.json("plan", "--detailed-exitcode")
    assert (plan["exit_code"], plan["action"]) == (1, "update")
    assert plan["steps"] == [
        "load hp version 124",
        "wait until every version is available",
        "point label stable of hp at version 124, from version 123",
        "unload hp version 123",
    ]
    against = shop.json("plan", "--against", f"127.0.0.1:{shop.port}")
    assert against["steps"] == plan["steps"]
    text = shop.cli("plan", "--against", f"127.0.0.1:{shop.port}").stdout
    assert text.startswith("the server differs from the file\n")
    assert "\nthese steps would bring it to the file:\n  1. load hp version 124\n" in text
    changed = shop.json("up")
    assert (changed["changes"], changed["steps"]) == (plan["changes"], plan["steps"])
    assert shop.json("plan")["action"] == "none"
    assert shop.json("up")["steps"] == []


def test_a_label_that_gets_requests_is_not_taken_away(shop):
    shop.model |= {
        "versions": {"specific": [123, 124]},
        "labels": {"stable": 123, "canary": 124},
        "traffic": {"stable": 90, "canary": 10},
    }
    shop.write()
    shop.json("up")
    del shop.model["labels"]["canary"], shop.model["traffic"]
    shop.write()
    assert shop.json("status")["notes"] == ["label canary of hp leads to version 124; the file does not have it"]
    assert shop.json("plan")["refused"]
    done = shop.cli("up")
    assert done.returncode == 2
    assert "10 % of the traffic of hp goes to label canary, so it cannot be removed" in done.stderr
    shop.model["traffic"] = {"stable": 100}
    shop.write()
    assert shop.cli("up").returncode == 0


def test_a_label_that_something_else_took_off_the_server_is_a_problem_and_planned_again(shop):
    shop.model |= {"labels": {"stable": 123}, "traffic": {"stable": 100}}
    shop.write()
    shop.json("up")
    written = parse((shop.folder / ".tfs-deploy" / "shop" / "config" / "models.config").read_text())
    written.model_config_list.config[0].version_labels.clear()
    with Client(f"127.0.0.1:{shop.port}") as client:
        client.reload(written)

    status = shop.json("status")
    assert (status["exit_code"], status["problems"]) == (
        1,
        ["label stable of hp leads to no version instead of version 123; 100 % of the traffic goes there"],
    )
    assert "warning: label stable of hp leads to no version" in shop.cli("status").stderr
    assert "point label stable of hp at version 123" in shop.json("plan")["steps"]
    shop.json("up")
    assert shop.json("status")["exit_code"] == 0


def test_an_unfinished_rollout_is_seen(shop):
    shop.json("up")
    journal = JournalFile.create(shop.folder / ".tfs-deploy" / "shop", "hp")
    journal.append_entry({"kind": "start", "detail": {"plan": {"old": 123, "new": 124}}})
    for command, key in (("status", "problems"), ("plan", "notes"), ("up", "notes")):
        (note,) = shop.json(command)[key]
        assert note.startswith("the rollout of hp from version 123 to 124 is unfinished: tfs-deploy rollout resume ")
    assert shop.json("status")["exit_code"] == 1
    with lock(shop.folder / ".tfs-deploy" / "shop", rollout_purpose("hp")):
        status = shop.json("status")
        assert (status["exit_code"], status["problems"]) == (0, [])
        assert "is unfinished, a process is at work on it" in status["notes"][0]
    journal.append_entry({"kind": "finish", "detail": {"status": "done"}})
    status = shop.json("status")
    assert (status["exit_code"], status["problems"], status["notes"]) == (0, [], [])


def test_stats_of_the_server(shop):
    assert shop.json("stats") == {"running": False, "exit_code": 1}
    shop.json("up")
    stats = shop.json("stats")
    assert stats["memory"] > 1 << 20
    assert "cores" in shop.cli("stats").stdout
