# SPDX-License-Identifier: Apache-2.0
"""Only callers of the server's own machine may replace its config, unless it was started to allow others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.errors import PermissionDeniedError
from tfs_deploy.host.addresses import is_of_this_machine
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.grpc.callers import require_this_machine
from tfs_deploy.server.grpc.server import GrpcServer
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.testing import function_model, serve_models

#: in a network namespace of its own a caller is another machine
HERE, THERE = "10.254.77.1", "10.254.77.2"
ASK = """
import sys
from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.errors import TfsDeployError
with Client(sys.argv[1], timeout=20, retries=1) as client:
    print(client.predict("m", {"x": [1.0]})["y"])
    try:
        config = protos.ModelServerConfig()
        config.model_config_list.SetInParent()
        print("reloaded", client.reload(config))
    except TfsDeployError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    "peer", ["ipv4:127.0.0.1:4242", "ipv4:127.8.9.1:1", "ipv6:%5B::1%5D:4242", "ipv6:[::ffff:127.0.0.1]:1", "unix:"]
)
def test_callers_of_this_machine(peer: str) -> None:
    require_this_machine(peer)


@pytest.mark.parametrize(
    "peer",
    [
        "ipv4:192.0.2.1:4242",
        "ipv4:0.0.0.0:1",
        "ipv6:[2001:db8::1]:1",
        "ipv6:[fe80::1%25eth0]:1",
        "ipv4:localhost:1",
        "fd:7",
        "",
    ],
)
def test_callers_of_other_machines(peer: str) -> None:
    with pytest.raises(PermissionDeniedError, match="from the server's own machine only"):
        require_this_machine(peer)


@pytest.fixture
def other_machine() -> Iterator[list[str]]:
    """Yield the words before a command that run it at the other end of a network cable."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    name, cable = f"tfs-deploy-{os.getpid()}", f"tfs{os.getpid() % 10**6}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no network namespaces")
    try:
        for words in (
            ["link", "add", f"{cable}a", "type", "veth", "peer", "name", f"{cable}b", "netns", name],
            ["addr", "add", f"{HERE}/30", "dev", f"{cable}a"],
            ["link", "set", f"{cable}a", "up"],
            ["-n", name, "addr", "add", f"{THERE}/30", "dev", f"{cable}b"],
            ["-n", name, "link", "set", f"{cable}b", "up"],
        ):
            subprocess.run(["ip", *words], check=True, capture_output=True)
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "link", "del", f"{cable}a"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_a_reload_from_another_machine_is_refused_unless_it_was_asked_for(other_machine: list[str]) -> None:
    model = function_model(lambda x: {"y": x}, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"m": model}, rest=False) as served:
        closed, opened = (
            GrpcServer(DataPlane(served.core, ServerMetrics()), threads=2, remote_reload=allowed)
            for allowed in (False, True)
        )
        said = []
        for server in (closed, opened):
            port = server.listen("0.0.0.0:0")
            server.start()
            command = [*other_machine, sys.executable, "-c", ASK, f"{HERE}:{port}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
            said.append(done.stdout)
            server.stop(0)
        # Through the address of the cable, but from this machine.
        assert is_of_this_machine(HERE)
        assert not is_of_this_machine(THERE)
        assert "PermissionDeniedError the config is replaced from the server's own machine only" in said[0]
        assert "[1.]" in said[0]
        assert "reloaded" in said[1]


def test_this_machine_may_reload() -> None:
    model = function_model(lambda x: {"y": x}, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"m": model}, rest=False) as served, Client(served.grpc_address) as client:
        config = protos.ModelServerConfig()
        config.model_config_list.SetInParent()
        client.reload(config)
