"""The engine itself dies while a deployment comes up: on an engine of this test's own, never on the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(
        os.geteuid() != 0
        or shutil.which("dockerd") is None
        or shutil.which("containerd") is None
        or shutil.which("ip") is None,
        reason="starts an engine of its own, which needs root, dockerd and iproute2",
    ),
]
BRIDGE = "tfsdeploy0"
ROOT = Path(__file__).parents[2]


class OwnEngine:
    """A dockerd with its own files, socket, bridge and containerd; it leaves the machine's packet filter alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        line = [
            "containerd",
            "--address",
            folder / "containerd.sock",
            "--root",
            folder / "root",
            "--state",
            folder / "state",
        ]
        with (folder / "containerd.log").open("wb") as log:
            self.containerd = subprocess.Popen([*map(str, line)], stdout=log, stderr=log, start_new_session=True)

    def start(self) -> None:
        line = ["dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec"]
        line += ["--pidfile", self.folder / "pid", "--host", self.host, "--bridge", BRIDGE, "--iptables=false"]
        line += ["--containerd", self.folder / "containerd.sock"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*map(str, line)], stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 40
        while subprocess.run(["docker", "--host", self.host, "info"], capture_output=True).returncode != 0:
            assert time.monotonic() < end, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.1)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.containerd.terminate()
        self.containerd.wait(30)


@pytest.fixture
def own_engine(engine: None) -> Iterator[OwnEngine]:
    folder = Path("/run") / f"tfs-deploy-test-{os.getpid()}"
    folder.mkdir()
    subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.213.77.1/24", "dev", BRIDGE], check=True)
        subprocess.run(["ip", "link", "set", BRIDGE, "up"], check=True)
        own = OwnEngine(folder)
        try:
            own.start()
            yield own
        finally:
            own.stop()
    finally:
        subprocess.run(["ip", "link", "delete", BRIDGE], check=True)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_engine_killed_while_a_deployment_comes_up(own_engine, make_shop, image):
    shop = make_shop()
    shop.environment["DOCKER_HOST"] = own_engine.host
    build = [sys.executable, ROOT / "docker/build", "--tar", "/dev/stdout"]
    load = ["docker", "--host", own_engine.host, "import", "-", image]
    with subprocess.Popen(build, stdout=subprocess.PIPE) as saved:
        imported = subprocess.run(load, stdin=saved.stdout, capture_output=True)
    assert imported.returncode == 0, imported.stderr
    process = subprocess.Popen(shop.line("up"), stderr=subprocess.PIPE, text=True, env=shop.environment)
    listing = ["docker", "--host", own_engine.host, "ps", "--quiet"]
    end = time.monotonic() + 40
    while not subprocess.run(listing, capture_output=True).stdout and time.monotonic() < end:
        time.sleep(0.02)
    own_engine.kill()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "Docker Engine" in said
    assert "Traceback" not in said

    own_engine.start()
    healed = shop.json("up")
    assert healed["exit_code"] == 0
    assert shop.json("status")["good"] is True
    assert shop.json("down")["stopped"] is True
    assert subprocess.run([*listing, "--all"], capture_output=True).stdout == b""
