# SPDX-License-Identifier: Apache-2.0
"""Up, use, change, down: a deployment in a container of a real engine."""

from __future__ import annotations

import contextlib
import json
import shutil
import stat
import subprocess
import threading

import numpy as np
import pytest

from support.live import until
from tfs_deploy.client import Client, RestClient, Router, read_traffic
from tfs_deploy.client.deployed import DeployedClient
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.tcp_ports import is_free, listening_addresses

pytestmark = pytest.mark.docker
X = {"x": np.array([2.0], np.float32)}


def test_the_whole_life_in_a_hardened_container(shop):
    shop.container |= {"memory": "2g", "cpus": 1.5, "env": {"TZ": "UTC"}, "log_max_files": 2}
    shop.write()
    plan = shop.json("plan", "--detailed-exitcode")
    assert (plan["exit_code"], plan["action"]) == (1, "start")
    assert shop.containers() == []

    started = shop.json("up")
    assert started["started"] is True
    for port in (shop.port, shop.rest_port):
        assert listening_addresses(port) <= {"127.0.0.1"}  # none where the engine forwards packets instead
    with Client(f"127.0.0.1:{shop.port}") as client, RestClient(f"127.0.0.1:{shop.rest_port}") as rest:
        assert client.predict("hp", X, label="stable")["y"] == [3.0]
        assert rest.predict("hp", X, label="stable")["y"] == [3.0]

    facts = shop.inspect()
    host, config = facts["HostConfig"], facts["Config"]
    assert facts["Name"] == f"/{started['server'].removeprefix('container ')}"
    assert config["Entrypoint"] == ["/usr/bin/tensorflow_model_server"]
    assert config["User"] not in ("", "0", "0:0", "root")
    assert host["Init"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert "noexec" in host["Tmpfs"]["/tmp"]
    assert {binding["HostIp"] for ports in host["PortBindings"].values() for binding in ports} == {"127.0.0.1"}
    assert host["Memory"] == host["MemorySwap"] == 2 << 30
    assert host["NanoCpus"] == 1_500_000_000
    assert host["LogConfig"]["Config"] == {"max-file": "2", "max-size": "10m"}
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    mounts = {mount["Destination"]: (mount["Source"], mount["RW"]) for mount in facts["Mounts"]}
    assert mounts == {
        "/models/hp": (str(shop.folder / "hp"), False),
        "/config": (str((shop.state / "config").resolve()), False),
    }

    assert shop.json("plan", "--detailed-exitcode")["exit_code"] == 0
    assert shop.json("up")["changes"] == []
    status = shop.json("status")
    assert (status["exit_code"], status["good"]) == (0, True)
    usage = shop.json("stats")
    assert usage["memory"] > 1 << 20
    assert usage["limit"] == 2 << 30
    assert "serving hp version 123" in shop.cli("logs", "-n", "1000").stdout

    shutil.rmtree(shop.state)  # nothing on disk is needed to find it
    assert shop.json("status")["running"] is True
    assert shop.json("down")["stopped"] is True
    assert shop.containers() == []
    assert is_free(shop.port)
    assert shop.json("down")["stopped"] is False


def test_changes_go_through_the_mounted_directory(shop):
    first = shop.json("up")
    shop.model |= {"versions": {"specific": [124]}, "labels": {"stable": 124}}
    shop.write()
    changed = shop.json("up")
    assert changed["pid"] == first["pid"]
    assert changed["changes"] == ["hp: versions specific 123 -> specific 124", "hp: label stable 123 -> 124"]
    container = shop.containers()[0]
    inside = subprocess.run(
        ["docker", "exec", container, "sh", "-c", "while read -r line; do echo $line; done < /config/models.config"],
        capture_output=True,
        text=True,
    ).stdout
    assert "versions: 124" in inside
    assert "versions: 123" not in inside


def test_a_rollout_works_through_the_mounted_directory(shop, models):
    shutil.copytree(models / "zoo", shop.folder / "zoo")
    shop.model |= {"base_path": "zoo", "versions": {"specific": [1]}, "labels": {"stable": 1}}
    shop.write()
    shop.json("up")
    line = [*shop.line("rollout")[:-1], "start", str(shop.path), "--model", "hp", "--to", "2"]
    line += ["--steps", "50,100", "--bake", "0s", "--allow-missing-goldens"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=shop.environment)
    assert done.returncode == 0, done.stderr
    with Client(f"127.0.0.1:{shop.port}") as client:
        assert client.predict("hp", X, label="stable").version == 2
    assert shop.json("status")["good"] is True


def test_another_container_without_a_gap(shop):
    shop.server["alternate_ports"] = {"grpc_port": shop.port2, "rest_port": shop.rest_port2}
    shop.write()
    first = shop.json("up")
    stop, failed, answers = threading.Event(), [], []

    def load() -> None:
        with DeployedClient(shop.state) as client:
            router = Router(client, "hp", shop.state / "traffic.json")
            while not stop.is_set():
                try:
                    answers.append(float(router.predict(X)["y"][0]))
                except TfsDeployError as error:  # noqa: PERF203
                    failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        shop.server["flags"] = {"num_load_threads": 2}
        shop.write()
        assert shop.json("plan")["gap_seconds"] == 0
        moved = shop.json("up")
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert set(answers) == {3.0}
    assert moved["gap_seconds"] == 0
    assert moved["grpc_address"] == f"127.0.0.1:{shop.port2}"
    assert moved["pid"] != first["pid"]
    assert shop.inspect()["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert is_free(shop.port)


def test_on_fixed_ports_the_gap_is_foretold_and_measured(shop):
    shop.json("up")
    shop.container["cpus"] = 1.0
    shop.write()
    plan = shop.json("plan")
    assert plan["action"] == "replace"
    assert plan["gap_seconds"] > 0
    assert "docker.cpus: None -> 1.0" in plan["changes"]
    moved = shop.json("up")
    assert moved["gap_seconds"] > 0
    assert moved["grpc_address"] == f"127.0.0.1:{shop.port}"
    assert len(shop.containers()) == 1
    assert shop.json("status")["good"] is True


def test_another_image_of_the_same_name_another_directory_and_a_network(shop, image):
    tag = f"{image.partition(':')[0]}:again-{shop.port}"
    network = f"tfs-deploy-test-{shop.port}"
    shop.docker("tag", image, tag)
    try:
        shop.container |= {"image": tag, "pull": "never"}
        (shop.folder / "r1").mkdir()
        (shop.folder / "hp").rename(shop.folder / "r1/hp")
        shutil.copytree(shop.folder / "r1", shop.folder / "r2")
        (shop.folder / "now").symlink_to("r1")
        shop.model["base_path"] = "now/hp"
        shop.write()
        shop.container["networks"] = [network]
        shop.write()
        refused = shop.cli("up")
        assert (refused.returncode, "docker network create" in refused.stderr) == (2, True)
        shop.docker("network", "create", network)
        shop.container |= {"networks": [network], "labels": {"team": "x"}, "shm_size": "32m", "health_check": True}
        shop.write()
        assert shop.json("up")["exit_code"] == 0
        assert shop.json("plan")["action"] == "none"
        assert list(shop.inspect()["NetworkSettings"]["Networks"]) == [network]
        assert until(lambda: shop.inspect()["State"]["Health"]["Status"] == "healthy")

        (shop.folder / "now").unlink()
        (shop.folder / "now").symlink_to("r2")
        commit = shop.docker("create", image)
        shop.docker("commit", "--change", "ENV AGAIN=1", commit, tag)
        shop.docker("rm", commit)
        changes = [line.partition(":")[0] for line in shop.json("plan")["changes"]]
        assert changes == ["mounted /models/hp", "docker.image id"]
        assert shop.json("up")["exit_code"] == 0
        assert shop.json("plan")["action"] == "none"
        assert any(mount["Source"].endswith("now/hp") for mount in shop.inspect()["HostConfig"]["Mounts"])
    finally:
        shop.cli("down")
        shop.docker("rmi", "--force", tag)
        shop.docker("network", "rm", network)


def test_a_successor_that_fails_leaves_the_old_one_alone(shop):
    first = shop.json("up")
    shop.server["flags"] = {"saved_model_tags": "nosuch"}
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 3
    assert "the server did not start" in done.stderr
    assert "exit code" in done.stderr
    assert shop.json("status")["pid"] == first["pid"]
    assert len(shop.containers()) == 1
    with Client(f"127.0.0.1:{shop.port}") as client:
        assert client.predict("hp", X, label="stable")["y"] == [3.0]


def test_tls_with_a_key_that_only_its_owner_reads(shop):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=shop.example"
    files = ["-keyout", shop.folder / "key.pem", "-out", shop.folder / "cert.pem"]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    (shop.folder / "key.pem").chmod(0o600)
    shop.document["ssl"] = {"key": "key.pem", "cert": "cert.pem"}
    shop.write()
    assert shop.json("up")["exit_code"] == 0
    assert stat.S_IMODE((shop.state / "config/ssl.config").stat().st_mode) == 0o600
    assert shop.json("status")["good"] is True
    with Client(f"127.0.0.1:{shop.port}", timeout=2.0) as plain, pytest.raises(TfsDeployError):
        plain.status("hp")


def test_logs_are_followed_until_the_container_ends(shop):
    shop.json("up")
    process = subprocess.Popen(
        shop.line("logs", "-f", "-n", "5"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=shop.environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    shop.json("down")
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def test_an_image_with_the_models_inside(shop, image):
    """Built without a registry from what `render dockerfile` writes, run without a mount."""
    out = shop.folder / "build"
    line = [*shop.line("render")[:-1], "dockerfile", str(shop.path), "--out", str(out)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=shop.environment)
    assert done.returncode == 0, done.stderr
    tag = f"tfs-deploy/baked:test-{shop.port}"
    built = subprocess.run(["docker", "build", "--tag", tag, out], capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stderr
    label = f"tfs-deploy.state-dir={shop.state}"
    words = ["docker", "run", "--detach", "--init", "--label", label, "-p", f"127.0.0.1:{shop.port}:8500", tag]
    try:
        container = subprocess.run(words, check=True, capture_output=True, text=True, timeout=300).stdout.strip()
        with Client(f"127.0.0.1:{shop.port}") as client:
            client.wait_ready("hp", timeout=100)
            assert client.predict("hp", X, label="stable")["y"] == [3.0]
        # The health check of `render compose`.
        probe = ["docker", "exec", container, "bash", "-c"]
        assert subprocess.run([*probe, "exec 3<>/dev/tcp/127.0.0.1/8500"]).returncode == 0
        assert subprocess.run([*probe, "exec 3<>/dev/tcp/127.0.0.1/8502"], capture_output=True).returncode != 0
        subprocess.run(["docker", "rm", "--force", container], capture_output=True, timeout=300)
    finally:
        subprocess.run(["docker", "rmi", tag], capture_output=True, timeout=300)


def test_the_image_keeps_the_contract_of_the_official_one(shop, image):
    """MODEL_NAME, MODEL_BASE_PATH, the entrypoint script and its fixed ports, as `docker run` uses them."""
    name = f"tfs-deploy-contract-{shop.port}"
    label = f"tfs-deploy.state-dir={shop.state}"
    words = ["docker", "run", "--detach", "--name", name, "--label", label, "-p", f"127.0.0.1:{shop.port}:8500"]
    words += ["-v", f"{shop.folder / 'hp'}:/models/hp:ro", "-e", "MODEL_NAME=hp", image, "--rest_api_timeout_in_ms=500"]
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    with Client(f"127.0.0.1:{shop.port}") as client:
        client.wait_ready("hp", timeout=100)
        assert client.predict("hp", X)["y"] == [3.0]
    inspected = json.loads(subprocess.run(["docker", "inspect", image], capture_output=True, text=True).stdout)[0]
    assert inspected["Config"]["Entrypoint"] == ["/usr/bin/tf_serving_entrypoint.sh"]
    assert set(inspected["Config"]["ExposedPorts"]) == {"8500/tcp", "8501/tcp"}
    with contextlib.suppress(subprocess.SubprocessError):
        subprocess.run(["docker", "stop", name], capture_output=True, timeout=300)
    assert read_traffic(shop.state / "traffic.json").models == {}
