# SPDX-License-Identifier: Apache-2.0
"""Whose server listens on a port, by its command line."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import pytest

from support.live import free_port
from tfs_deploy.deployment import Deployment
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.launch import targets
from tfs_deploy.launch.server import PortOwner, port_owner, state_dir_of


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tensorflow_model_server", "--model_config_file=/srv/.tfs-deploy/shop/config/models.config"], "shop"),
        (
            ["python", "-m", "tfs_deploy.server", "--model_config_file=/srv/.tfs-deploy/shop/config.12/models.config"],
            "shop",
        ),
        (["tensorflow_model_server", "-model_config_file", "/srv/.tfs-deploy/shop/config/models.config"], "shop"),
        (["tensorflow_model_server", "--model_config_file=/etc/models.config"], None),
        (["tensorflow_model_server", "--model_base_path=/models/config"], None),
        (["nginx", "--model_config_file"], None),
    ],
)
def test_a_server_reads_its_config_from_the_state_directory(words, found):
    assert state_dir_of(words) == (None if found is None else Path("/srv/.tfs-deploy") / found)


def test_a_container_is_named_by_its_engine_and_any_other_process_by_its_number():
    def silent(_port: int) -> str:
        raise EnvironmentFault("the engine does not answer")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert port_owner(port, lambda _port: "tfs-deploy-shop-0a1b2c3d").text == "container tfs-deploy-shop-0a1b2c3d"
        for publisher in (None, silent, lambda _port: None):
            assert port_owner(port, publisher).text.startswith(f"process {os.getpid()} (")


def test_a_server_that_reads_the_deployments_config_is_its_own(tmp_path, monkeypatch):
    deployment = Deployment("shop", tmp_path / "shop.yaml", tmp_path / "state", ())
    server = dataclasses.replace(deployment.server, grpc_port=free_port(), rest_port=0)
    deployment = dataclasses.replace(deployment, server=server)
    targets.require_own(deployment)  # no server answers
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = dataclasses.replace(deployment.server, grpc_port=listener.getsockname()[1], rest_port=0)
        deployment = dataclasses.replace(deployment, server=server)
        monkeypatch.setattr(targets, "port_owner", lambda *_: PortOwner("the server", tmp_path / "state"))
        targets.require_own(deployment)
        monkeypatch.setattr(targets, "port_owner", lambda *_: PortOwner("the server of another", tmp_path / "other"))
        with pytest.raises(
            EnvironmentFault, match="belongs to the server of another, not to a server of shop"
        ) as caught:
            targets.require_own(deployment)
    assert "--any-server" in (caught.value.hint or "")
