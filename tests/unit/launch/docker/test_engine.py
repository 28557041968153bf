# SPDX-License-Identifier: Apache-2.0
"""Engines that are not Docker's but speak its API: what they lack is noticed and said.

Stands in for Podman's service, which the tests of this project do not install; its answers were read off Podman 4.3.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.stand_in_engines import EngineApi, listening
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.launch.docker.engine import DockerEngine

POLICY = {"Name": "unless-stopped", "MaximumRetryCount": 0}


class Podman(EngineApi):
    """Knows the container ``here``, and no way to change it."""

    def known(self) -> dict[str, Any]:
        return {
            "/version": {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]},
            "/info": {"OSType": "linux", "Architecture": "amd64"},
            "/containers/here/json": {"Id": "here"},
        }


@pytest.fixture
def engine(tmp_path, monkeypatch):
    with listening(tmp_path / "podman.sock", Podman) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        engine = DockerEngine()
        yield engine
        engine.close()


def test_a_restart_policy_that_cannot_be_changed(engine):
    assert engine.restarts("here", POLICY) is False


def test_a_container_that_is_gone_is_another_matter(engine):
    with pytest.raises(TfsDeployError, match="Not Found"):
        engine.restarts("gone", POLICY)


def test_no_proxy_is_taken_to_an_engine_on_this_machine(monkeypatch):
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # refuses every connection
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with listening(None, Podman) as host:
        monkeypatch.setenv("DOCKER_HOST", host)
        engine = DockerEngine()
        assert engine.architecture == "amd64"
        engine.close()
