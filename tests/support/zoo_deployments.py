# SPDX-License-Identifier: Apache-2.0
"""Deployments of the model zoo that rollouts are tried on: in a process, or in a container."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from support.live import free_ports, until
from tfs_deploy import protos
from tfs_deploy.client import Client, write_traffic
from tfs_deploy.config import model_server_config, write_config
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import InvalidArgumentError, NotFoundError, UnknownError
from tfs_deploy.launch.embedded.record import running_server
from tfs_deploy.launch.targets import find_server
from tfs_deploy.launch.up import down, up
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.state.server_record import read_server, write_server

X = np.array([1.0, 2.0, -3.0], np.float32)
#: version 1 of the zoo computes x / 2 + 2, version 2 computes x / 2 + 3
ANSWERS = {1: X / 2 + 2, 2: X / 2 + 3}


def document(grpc: int, rest: int, container: dict[str, Any] | None) -> dict[str, Any]:
    """Return the deployment file; ``container`` is its section server.docker, None for an embedded server."""
    server: dict[str, Any] = {"grpc_port": grpc, "rest_port": rest, "flags": {"grpc_max_threads": 32}}
    server |= {"target": "embedded"} if container is None else {"target": "docker", "docker": container}
    model = {
        "name": "zoo",
        "base_path": "models/zoo",
        "versions": {"specific": [1]},
        "labels": {"stable": 1},
        "traffic": {"stable": 100},
    }
    return {"name": "zoo", "server": server, "models": [model], "monitoring": {"prometheus": True}}


def write_version(source: Path, folder: Path, answers: np.ndarray | None) -> Path:
    """Copy a version to a folder, with recorded answers."""
    shutil.copytree(source, folder)
    if answers is not None:
        write_goldens(folder, [Golden("serving_default", {"x": X}, {"y": answers.astype(np.float32)})])
    return folder


class Zoo:
    """The deployment: its file, its versions on disk, its server."""

    def __init__(self, file: Path, source: Path) -> None:
        self.source = source
        self.file = file
        self.base = file.parent / "models" / "zoo"
        self.answers = ANSWERS
        self.deployment = load_deployment(file)
        self.state_dir = self.deployment.state_dir
        self.traffic_path = self.state_dir / "traffic.json"
        server = self.deployment.server
        self.address = f"127.0.0.1:{server.grpc_port}"
        self.ports = f"{server.grpc_port}/{server.rest_port}"

    @classmethod
    def make(
        cls,
        folder: Path,
        source: Path,
        versions: dict[int, Any],
        ports: Iterable[int],
        container: dict[str, Any] | None = None,
    ) -> Zoo:
        """Write a deployment with versions that are copies of models in ``source``, by name."""
        file = folder / "zoo.yaml"
        file.write_text(yaml.safe_dump(document(*ports, container), sort_keys=False))
        zoo = cls(file, source)
        for version, like in versions.items():
            zoo.add(version, like=like, answers=ANSWERS[version])
        return zoo

    def add(self, version: int, *, like: int | str, answers: np.ndarray | None = None) -> Path:
        """Put a version on disk: a copy of one of the zoo's, with recorded answers."""
        return write_version(self.source / str(like), self.base / str(version), answers)

    def served(self) -> tuple[dict[str, int], list[int]]:
        """Return what labels answer with, and the versions that are AVAILABLE."""
        with Client(self.address) as client:
            labels = {}
            for label in ("stable", "canary"):
                with contextlib.suppress(InvalidArgumentError, NotFoundError):
                    labels[label] = client.metadata("zoo", label=label).version
            return labels, sorted(status.version for status in client.status("zoo") if status.available)

    def kill_server(self) -> None:
        """End the server's process by SIGKILL; where an engine starts it again, that is not waited for."""
        server = find_server(self.deployment)
        assert server is not None
        pid = server.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: (left := find_server(self.deployment)) is None or left.pid != pid)


class Pool:
    """One server for one test after the other: starting one takes seconds, giving it another config does not."""

    def __init__(self) -> None:
        self.ports = free_ports(2)
        self.record: Path | None = None

    def serve(self, zoo: Zoo) -> None:
        """Let the server of the test before serve ``zoo`` from now on, or start one."""
        if self.record is None or running_server(self.record) is None:
            up(zoo.deployment)
        else:
            zoo.state_dir.mkdir(parents=True)
            server = read_server(self.record)
            assert server is not None
            log = zoo.state_dir / "server.log"
            log.symlink_to(server.log)
            write_server(zoo.state_dir, dataclasses.replace(server, log=log))
            shutil.copy(self.record / "endpoint.json", zoo.state_dir)
            self._give(zoo)
        self.record = zoo.state_dir

    def _give(self, zoo: Zoo) -> None:
        write_config(zoo.deployment, zoo.deployment.config_dir)
        write_traffic(zoo.traffic_path, "zoo", {"stable": 100})
        empty = protos.ModelServerConfig()
        empty.model_config_list.SetInParent()
        with Client(zoo.address) as client:
            client.reload(empty)
            until(lambda: not any(status.available for status in client.status("zoo")))
            with contextlib.suppress(UnknownError):  # it loads all the same
                client.reload(model_server_config(zoo.deployment))
            client.wait_ready("zoo", version=1)

    def close(self) -> None:
        """Stop the server."""
        server = None if self.record is None else running_server(self.record)
        if server is not None:
            server.stop()


@contextlib.contextmanager
def serving(zoo: Zoo, pool: Pool | None = None) -> Iterator[Zoo]:
    """Let a deployment serve, on the server of a pool or on one of its own, and leave nothing of it."""
    if pool is None:
        up(zoo.deployment)
    else:
        pool.serve(zoo)
    try:
        yield zoo
    finally:
        if pool is None or running_server(zoo.state_dir) is None:
            down(zoo.deployment)  # whatever the test left
