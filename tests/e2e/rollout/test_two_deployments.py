# SPDX-License-Identifier: Apache-2.0
"""Two deployments on one machine with the same ports: the one without a server never acts on that of the other."""

from __future__ import annotations

import json

import pytest

from support.zoo_deployments import Zoo
from tfs_deploy.client import Client, read_traffic
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.rollout import Rollout
from tfs_deploy.rollout.adapters.deployed_server import DeployedServer


@pytest.fixture
def rival(zoo, tmp_path, models) -> Zoo:
    """A deployment of a model of the same name, on the ports on which the server of ``zoo`` answers."""
    folder = tmp_path / "rival"
    folder.mkdir()
    ports = map(int, zoo.ports.split("/"))
    made = Zoo.make(folder, models / "zoo", {1: 1, 2: 2}, ports)
    text = made.file.read_text()
    made.file.write_text(text.replace("name: zoo", "name: rival", 1))
    return Zoo(made.file, made.source)


COMMANDS = {
    ("smoke",): (),
    ("rollout", "start"): ("--to", 2, "--steps", "100", "--bake", "0s"),
    ("rollout", "plan"): ("--to", 2),
    ("rollback",): ("--to", 2),
    ("up",): (),
    ("restart",): (),
}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_acts_on_the_server_of_another_deployment(zoo, rival, cli, words):
    done = cli(*words, rival.file, *COMMANDS[words])

    assert done.returncode == 3, done.stderr
    port = zoo.address.rpartition(":")[2]
    assert f"port {port} " in done.stderr
    assert "the server of deployment 'zoo' (process " in done.stderr
    assert zoo.served() == ({"stable": 1}, [1])
    assert not (rival.state_dir / "traffic.json").exists()
    assert read_traffic(zoo.traffic_path).models["zoo"] == {"stable": 100.0}


def test_commands_that_have_nothing_to_act_on_name_the_owner_too(zoo, rival, cli):
    for command, code in (("status", 1), ("down", 0)):
        done = cli(command, rival.file)
        assert done.returncode == code
        assert "belongs to the server of deployment 'zoo' (process " in done.stderr
    assert json.loads(cli("plan", rival.file, "--json").stdout)["refused"]
    assert zoo.served() == ({"stable": 1}, [1])


def test_any_server_is_an_explicit_choice(rival, cli):
    assert cli("smoke", rival.file, "--any-server").returncode == 0
    done = cli("rollout", "start", rival.file, "--to", 2, "--strategy", "blue-green", "--bake", "0s", "--any-server")
    assert done.returncode in (0, 1)
    assert "preflight passed" in done.stderr


def test_a_server_that_another_took_the_place_of_gets_no_config(zoo, rival):
    with Client(zoo.address) as client:
        server = DeployedServer(rival.deployment, "zoo", client)
        with pytest.raises(EnvironmentFault, match="belongs to the server of deployment 'zoo'"):
            server.apply((1, 2), {"stable": 2})
    assert zoo.served() == ({"stable": 1}, [1])


def test_the_python_api_refuses_too(rival):
    with pytest.raises(EnvironmentFault, match="not to a server of rival") as caught:
        Rollout(rival.deployment, "zoo", to=2).run()
    assert "--any-server" in (caught.value.hint or "")
