# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a container, and what is left: the old service unharmed, and the next ``up`` heals."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from support.live import free_port, until
from support.stand_in_engines import MACHINE
from tfs_deploy.client import Client
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.image import Image
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.launch.docker.container_server import ContainerServer
from tfs_deploy.launch.docker.engine import DockerEngine
from tfs_deploy.launch.docker.target import DockerTarget

pytestmark = pytest.mark.docker
X = {"x": np.array([2.0], np.float32)}
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system, which only root may")


def serves(shop) -> bool:
    with Client(f"127.0.0.1:{shop.port}", timeout=30.0) as client:
        try:
            return client.predict("hp", X, label="stable")["y"] == [3.0]
        except TfsDeployError:
            return False


def server_process(shop) -> int:
    """Return the process of the server itself, the child of the container's init process."""
    init = shop.inspect()["State"]["Pid"]
    return int(Path(f"/proc/{init}/task/{init}/children").read_text().split()[0])


def test_a_server_killed_under_load_is_restarted_by_the_engine(shop):
    shop.json("up")
    stop, answered = threading.Event(), [0]

    def load() -> None:
        with Client(f"127.0.0.1:{shop.port}", timeout=5.0) as client:
            while not stop.is_set():
                try:
                    client.predict("hp", X, label="stable")
                    answered[0] += 1
                except TfsDeployError:  # noqa: PERF203
                    time.sleep(0.01)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        until(lambda: answered[0] > 20)
        os.kill(server_process(shop), signal.SIGKILL)
        until(lambda: shop.inspect()["RestartCount"] == 1)
        before = answered[0]
        until(lambda: answered[0] > before + 20)
    finally:
        stop.set()
        thread.join()
    assert shop.json("status")["good"] is True
    assert shop.json("up")["changes"] == []


def test_a_container_that_was_killed_is_explained_and_started_anew(shop):
    shop.container["restart"] = "never"
    shop.write()
    shop.json("up")
    subprocess.run(["docker", "kill", shop.containers()[0]], check=True, capture_output=True)
    status = shop.cli("status")
    assert status.returncode == 1
    assert "has ended unexpectedly: exit code 137 (killed, often because memory ran out)" in status.stdout
    assert "serving hp version 123" in shop.cli("logs").stdout
    assert shop.json("up")["started"] is True
    assert serves(shop)


def test_too_little_memory_is_named_as_the_reason(shop):
    shop.container["memory"] = "24m"
    shop.write()
    done = shop.cli("up", "--timeout", "60")
    assert done.returncode == 3
    assert "out of memory: its limit is server.docker.memory" in done.stderr
    assert shop.containers() == []


def test_models_that_do_not_fit_are_refused_before_anything_starts(shop):
    with (shop.folder / "hp/00000123/assets.extra.big").open("wb") as file:
        file.truncate(64 << 20)
    (shop.folder / "hp/00000123/variables/big").hardlink_to(shop.folder / "hp/00000123/assets.extra.big")
    shop.container["memory"] = "100m"
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 3
    assert "the models need about 161.1 MB, but server.docker.memory has 104.9 MB" in done.stderr
    plan = shop.json("plan")
    assert plan["exit_code"] == 1
    assert plan["refused"] == ["the models need about 161.1 MB, but server.docker.memory has 104.9 MB"]


def test_a_broken_model_is_said_with_the_last_words_of_its_container(shop):
    (shop.folder / "hp/00000123/saved_model.pb").write_bytes(b"junk")
    done = shop.cli("up")
    assert done.returncode == 3
    assert "the server did not start: " in done.stderr
    assert "exit code 2" in done.stderr
    assert "the server did not start: hp version 123 failed to load: " in done.stderr
    assert shop.containers() == []
    assert "loading hp version 123 failed" in shop.cli("logs").stdout


def test_a_port_of_another_container_names_it(make_shop):
    one, two = make_shop(), make_shop()
    one.json("up")
    two.server["grpc_port"] = one.port
    two.write()
    done = two.cli("up")
    assert done.returncode == 3
    assert f"port {one.port} is in use by container {one.containers()[0]}" in done.stderr
    assert two.containers() == []
    assert serves(one)


def test_a_model_that_the_user_inside_cannot_read(shop):
    shop.container["user"] = "4711:4711"
    shop.write()
    path = shop.folder / "hp/00000123/saved_model.pb"
    path.chmod(0o600)
    done = shop.cli("up")
    assert done.returncode == 2
    assert f"user 4711:4711 of the container may not read {path}" in done.stderr


def test_two_at_once(shop):
    processes = [
        subprocess.Popen(
            shop.line("up"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=shop.environment
        )
        for _ in range(2)
    ]
    ends = sorted((process.communicate(timeout=300)[1], process.returncode) for process in processes)
    assert sorted(code for _, code in ends) == [0, 4], ends
    assert any("is locked by" in said for said, _ in ends)
    assert serves(shop)
    assert len(shop.containers()) == 1


def test_an_interrupted_start_leaves_no_container(shop):
    process = subprocess.Popen(
        shop.line("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=shop.environment
    )
    until(lambda: shop.containers() != [])
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert shop.containers() == []


def test_a_killed_replacement_is_cleared_by_the_next_up(shop):
    first = shop.json("up")
    shop.container["cpus"] = 1.0
    shop.write()
    process = subprocess.Popen(
        shop.line("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=shop.environment
    )
    until(lambda: len(shop.containers()) == 2)
    process.kill()
    process.wait()
    assert serves(shop)
    assert shop.json("status")["pid"] == first["pid"]
    healed = shop.json("up")
    assert "left over from a replacement that was cut off" in healed["notes"][0]
    assert len(shop.containers()) == 1
    assert shop.inspect()["HostConfig"]["NanoCpus"] == 1_000_000_000
    assert serves(shop)


def test_a_replacement_cut_off_between_its_two_renames(shop):
    """The old container is called -old, the new one still -next: the old one is in use again."""
    first = shop.json("up")
    name = shop.containers()[0]
    subprocess.run(["docker", "rename", name, f"{name}-old"], check=True)
    (shop.state / "config").unlink()  # nor had the config directory been switched yet
    (shop.state / "endpoint.json").unlink()
    healed = shop.json("up")
    assert healed["pid"] == first["pid"]
    assert "is the one in use again" in healed["notes"][0]
    assert shop.containers() == [name]
    assert (shop.state / "config/models.config").exists()
    assert (shop.state / "endpoint.json").exists()


def test_a_state_directory_that_somebody_deleted(shop):
    """The container goes on with the deleted directory, which no edit reaches: it gets a successor."""
    first = shop.json("up")
    shutil.rmtree(shop.folder / ".tfs-deploy")
    assert serves(shop)
    healed = shop.json("up")
    assert healed["pid"] != first["pid"]
    assert "config directory: gone" in healed["changes"][0]
    change(shop)
    assert shop.json("up")["pid"] == healed["pid"]
    assert shop.json("status")["good"] is True


@pytest.fixture
def small_disk(shop):
    """The state directory on a file system of its own, with room for a few files."""
    shop.state.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", shop.state], check=True)
    yield shop.state
    subprocess.run(["umount", "--lazy", shop.state], check=True)


def change(shop) -> None:
    shop.model |= {"versions": {"specific": [124]}, "labels": {"stable": 124}}
    shop.write()


@root_only
def test_a_full_disk_under_the_config_directory(shop, small_disk):
    first = shop.json("up")
    change(shop)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    done = shop.cli("up")
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert serves(shop)
    filler.unlink()
    healed = shop.json("up")
    assert healed["exit_code"] == 0
    assert healed["pid"] == first["pid"]
    assert shop.json("status")["good"] is True


@root_only
def test_a_config_directory_that_became_read_only(shop, small_disk):
    first = shop.json("up")
    change(shop)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = shop.cli("up")
    assert done.returncode == 3
    assert "Read-only file system" in done.stderr
    assert serves(shop)
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    healed = shop.json("up")
    assert (healed["exit_code"], healed["pid"]) == (0, first["pid"])


def saved_image(tag: str, architecture: str) -> bytes:
    """Write an image with one empty layer as ``docker save`` does."""
    layer = archive({"nothing": b""})
    digest = hashlib.sha256(layer).hexdigest()
    config = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}
    config["rootfs"]["diff_ids"] = [f"sha256:{digest}"]
    manifest = [{"Config": "config.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    parts = {"config.json": json.dumps(config), "manifest.json": json.dumps(manifest)}
    return archive({name: text.encode() for name, text in parts.items()} | {"layer.tar": layer})


def archive(files: dict[str, bytes]) -> bytes:
    """Write files as a tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture
def empty_image(engine):
    """Make an image without anything in it; returns a function of the processor."""
    made = []

    def make(architecture: str) -> str:
        tag = f"tfs-deploy/empty-{architecture}:test-{free_port()}"
        subprocess.run(["docker", "load"], input=saved_image(tag, architecture), check=True, capture_output=True)
        made.append(tag)
        return tag

    yield make
    for tag in made:
        subprocess.run(["docker", "rmi", tag], capture_output=True)


def test_an_image_that_is_no_server(shop, empty_image):
    shop.container["image"] = empty_image(MACHINE)
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 3
    assert f"image {shop.container['image']} has no /usr/bin/tensorflow_model_server that runs here" in done.stderr
    assert shop.containers() == []


def test_an_image_for_another_processor(shop, empty_image):
    other = "arm64" if MACHINE == "amd64" else "amd64"
    shop.container["image"] = empty_image(other)
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 2
    assert f"is for {other}, but this machine is" in done.stderr


@pytest.mark.parametrize(
    ("pull", "said"),
    [("never", "is not on this machine"), ("missing", "the registry of localhost:1/nothing:1 cannot be reached")],
)
def test_an_image_that_is_nowhere(shop, pull, said):
    shop.container |= {"image": "localhost:1/nothing:1", "pull": pull}
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 3
    assert said in done.stderr


@pytest.mark.parametrize(
    ("host", "code", "said"),
    [
        ("unix:///nonexistent/docker.sock", 3, "no Docker Engine answers at /nonexistent/docker.sock (DOCKER_HOST)"),
        ("tcp://127.0.0.1:1", 3, "no Docker Engine answers at tcp://127.0.0.1:1"),
        ("tcp://192.0.2.1:2375", 2, "the engine of another machine"),
        ("ssh://somewhere", 2, "the engine of another machine"),
    ],
)
def test_an_engine_that_cannot_be_used(shop, host, code, said):
    shop.environment["DOCKER_HOST"] = host
    done = shop.cli("up")
    assert done.returncode == code
    assert said in done.stderr


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="becomes another user, which only root may"
)
def test_a_user_who_may_not_use_the_socket(shop):
    shop.folder.chmod(0o777)
    (shop.state).mkdir(parents=True, exist_ok=True)
    for path in (shop.folder / ".tfs-deploy", shop.state, *shop.folder.parents):
        if path.is_dir() and path.is_relative_to(shop.folder.parents[2]):
            path.chmod(path.stat().st_mode | 0o777)
    line = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *shop.line("up")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, env=shop.environment)
    if "Permission denied" in done.stderr and "docker" not in done.stderr.lower():
        pytest.skip("another user cannot read this interpreter")
    assert done.returncode == 3, done.stderr
    assert "this user may not use the Docker Engine's socket" in done.stderr


def test_a_container_that_goes_away_between_two_looks(shop):
    shop.json("up")
    host = DockerTarget(load_deployment(shop.path), DockerEngine())
    server = host.current()
    assert isinstance(server, ContainerServer)
    subprocess.run(["docker", "rm", "--force", server.container], check=True, capture_output=True)
    assert server.alive() is False
    assert server.explain_end() == "the container is gone"
    assert server.stop(1.0) is True
    server.remove()
    host.engine.close()
    assert Image.parse(server.image) is not None
