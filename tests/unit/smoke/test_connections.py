# SPDX-License-Identifier: Apache-2.0
"""Where the clients of a deployment's server go, also while its engine cannot be asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.smoke import connections
from tfs_deploy.smoke.connections import addresses
from tfs_deploy.state.endpoint import write_endpoint


@pytest.fixture
def deployment(tmp_path):
    return SimpleNamespace(
        state_dir=tmp_path, server=SimpleNamespace(address="127.0.0.1", grpc_port=8500, rest_port=8501)
    )


def host(current):
    return lambda _deployment, timeout: SimpleNamespace(current=current)


def test_a_server_that_runs_says_so_itself_and_any_other_is_on_the_files_ports(deployment, monkeypatch):
    running = SimpleNamespace(grpc_address="127.0.0.1:9000", rest_address=None)
    monkeypatch.setattr(connections, "target_of", host(lambda: running))
    assert addresses(deployment) == ("127.0.0.1:9000", None)
    proven = []
    monkeypatch.setattr(connections, "require_own", proven.append)
    monkeypatch.setattr(connections, "target_of", host(lambda: None))
    assert addresses(deployment) == ("127.0.0.1:8500", "127.0.0.1:8501")
    assert proven == [deployment]
    deployment.server.rest_port = 0
    assert addresses(deployment, any_server=True) == ("127.0.0.1:8500", None)
    assert proven == [deployment]


@pytest.mark.parametrize("fault", [EnvironmentFault("no engine answers"), UsageError("the engine of another machine")])
def test_while_the_engine_cannot_be_asked_what_up_wrote_down_counts(deployment, monkeypatch, fault):
    def ask():
        raise fault

    monkeypatch.setattr(connections, "target_of", host(ask))
    with pytest.raises(type(fault), match=str(fault.message)):
        addresses(deployment)
    write_endpoint(deployment.state_dir, "127.0.0.1:9000", "127.0.0.1:9001")
    assert addresses(deployment) == ("127.0.0.1:9000", "127.0.0.1:9001")
