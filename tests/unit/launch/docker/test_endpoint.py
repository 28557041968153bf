# SPDX-License-Identifier: Apache-2.0
"""Which engine the docker command would use, and which of them cannot mount what lies on this machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.launch.docker.endpoint import EngineEndpoint, engine_endpoint


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of the docker command with the contexts ``far``, ``ssh`` and ``desktop``; none of them is in use."""
    hosts = {"far": "tcp://10.1.2.3:2375", "ssh": "ssh://deploy@prod.example", "desktop": "unix:///run/desktop.sock"}
    for name, host in hosts.items():
        meta = tmp_path / "contexts/meta" / hashlib.sha256(name.encode()).hexdigest() / "meta.json"
        meta.parent.mkdir(parents=True)
        meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    return tmp_path


def use(folder: Path, name: str) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps({"currentContext": name, "auths": {}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_without_anything_it_is_the_usual_socket(folder):
    assert engine_endpoint({"DOCKER_CONFIG": str(folder)}) == EngineEndpoint()
    assert engine_endpoint({"DOCKER_CONFIG": str(folder / "nowhere")}).place == "/var/run/docker.sock"
    assert engine_endpoint(use(folder, "default")) == EngineEndpoint()


@pytest.mark.parametrize("chosen", ["in use", "DOCKER_CONTEXT"])
def test_a_context_is_followed(folder, chosen):
    environment = use(folder, "desktop") if chosen == "in use" else use(folder, "far") | {"DOCKER_CONTEXT": "desktop"}
    found = engine_endpoint(environment)
    assert (found.place, found.source) == ("/run/desktop.sock", "docker context desktop")
    found.require_local()


def test_docker_host_wins(folder):
    found = engine_endpoint(use(folder, "far") | {"DOCKER_HOST": "unix:///x"})
    assert (found.place, found.source) == ("/x", "DOCKER_HOST")


@pytest.mark.parametrize(
    ("environment", "message", "hint"),
    [
        (
            {"DOCKER_HOST": "tcp://10.1.2.3:2375"},
            "DOCKER_HOST is tcp://10.1.2.3:2375, the",
            "unset DOCKER_HOST",
        ),
        ({"DOCKER_CONTEXT": "far"}, "docker context far is tcp://10.1.2.3:2375, the engine of", "docker context use"),
        (
            {"DOCKER_CONTEXT": "ssh"},
            "docker context ssh is ssh://deploy@prod.example",
            "docker context use",
        ),
    ],
)
def test_the_engine_of_another_machine_is_refused(folder, environment, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        engine_endpoint({"DOCKER_CONFIG": str(folder)} | environment).require_local()
    assert hint in caught.value.hint


def test_this_machine_by_tcp_is_not_refused():
    engine_endpoint({"DOCKER_HOST": "tcp://127.0.0.1:2375"}).require_local()


def test_a_context_that_is_not_there_is_an_error_and_never_the_usual_socket(folder):
    with pytest.raises(EnvironmentFault, match="docker context gone does not exist"):
        engine_endpoint(use(folder, "gone"))
    (folder / "config.json").write_text("{")
    with pytest.raises(EnvironmentFault, match="is not a valid file of the docker command"):
        engine_endpoint({"DOCKER_CONFIG": str(folder)})
