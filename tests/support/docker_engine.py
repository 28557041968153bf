# SPDX-License-Identifier: Apache-2.0
"""A Docker Engine of a test's own, which it may kill without harm to the machine's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def missing() -> str:
    """Say what keeps this machine from a second engine, nothing if nothing does."""
    if os.geteuid() != 0:
        return "only root may start an engine"
    lacking = [name for name in ("dockerd", "containerd", "ip") if shutil.which(name) is None]
    return f"not installed: {', '.join(lacking)}" if lacking else ""


class OwnEngine:
    """A dockerd with its own files, socket, bridge and containerd; it leaves the machine's packet filter alone."""

    def __init__(self, folder: Path, bridge: str) -> None:
        self.folder = folder
        self.host = f"unix://{folder}/docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self._bridge = bridge
        line = ["containerd", "--address", folder / "containerd.sock"]
        line += ["--root", folder / "root", "--state", folder / "state"]
        with (folder / "containerd.log").open("wb") as log:
            self.containerd = subprocess.Popen([*map(str, line)], stdout=log, stderr=log, start_new_session=True)

    def start(self) -> None:
        """Start the engine, or start it again, and wait until it answers."""
        line = ["dockerd", "--data-root", self.folder / "data", "--exec-root", self.folder / "exec"]
        line += ["--pidfile", self.folder / "pid", "--host", self.host, "--bridge", self._bridge, "--iptables=false"]
        line += ["--containerd", self.folder / "containerd.sock"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*map(str, line)], stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 40
        while subprocess.run(["docker", "--host", self.host, "info"], capture_output=True).returncode != 0:
            assert time.monotonic() < end, (self.folder / "log").read_text()[-3000:]
            time.sleep(0.1)

    def load(self, image: str) -> None:
        """Give it the image of the embedded server under that name."""
        build = [sys.executable, ROOT / "docker/build", "--tar", "/dev/stdout"]
        line = ["docker", "--host", self.host, "import", "-", image]
        with subprocess.Popen(build, stdout=subprocess.PIPE) as saved:
            imported = subprocess.run(line, stdin=saved.stdout, capture_output=True)
        assert imported.returncode == 0, imported.stderr

    def kill(self) -> None:
        """End it by SIGKILL; its containers are left to themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it and its containerd."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(100)
        self.containerd.terminate()
        self.containerd.wait(100)


@contextlib.contextmanager
def engine_of_its_own() -> Iterator[OwnEngine]:
    """Start an engine, and leave nothing of it."""
    folder = Path("/run") / f"tfs-deploy-test-{os.getpid()}"
    bridge, address = f"tfsd{os.getpid()}", f"10.213.{os.getpid() % 250}.1/24"
    folder.mkdir()
    subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", address, "dev", bridge], check=True)
        subprocess.run(["ip", "link", "set", bridge, "up"], check=True)
        own = OwnEngine(folder, bridge)
        try:
            own.start()
            yield own
        finally:
            own.stop()
    finally:
        subprocess.run(["ip", "link", "delete", bridge], check=True)
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            if line.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "--lazy", line.split()[1]], check=True)
        shutil.rmtree(folder, ignore_errors=True)
