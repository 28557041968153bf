# SPDX-License-Identifier: Apache-2.0
"""The wiring to a real server: file first, then the same by reload; a refusal puts the file back."""

from __future__ import annotations

import pytest

from tfs_deploy.client import Client
from tfs_deploy.errors import FailedPreconditionError, UnavailableError
from tfs_deploy.rollout.adapters.deployed_server import DeployedServer
from tfs_deploy.rollout.adapters.traffic_file import TrafficFile
from tfs_deploy.rollout.machine.observation import AVAILABLE
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit
from tfs_deploy.state.active import read_active


@pytest.fixture
def client(zoo):
    with Client(zoo.address) as client:
        yield client


def test_a_look_tells_states_and_what_labels_answer_with(zoo, client):
    view = DeployedServer(zoo.deployment, "zoo", client).observe(["stable", "canary"])

    assert view.labels == {"stable": 1}
    assert view.versions[1].state == AVAILABLE
    assert not view.available(2)


def test_a_refused_label_leaves_the_files_as_they_were(zoo, client):
    server = DeployedServer(zoo.deployment, "zoo", client)
    server.apply((1,), {"stable": 1})
    file = zoo.state_dir / "config" / "models.config"
    before = (file.read_text(), read_active(zoo.state_dir))

    with pytest.raises(FailedPreconditionError, match="not currently available"):
        server.apply((1, 2), {"stable": 2})

    assert (file.read_text(), read_active(zoo.state_dir)) == before
    assert zoo.served() == ({"stable": 1}, [1])


def test_without_an_answer_the_files_keep_what_is_to_be(zoo):
    with Client("127.0.0.1:1") as nobody:
        server = DeployedServer(zoo.deployment, "zoo", nobody)
        with pytest.raises(UnavailableError):
            server.apply((2,), {"stable": 2})

    assert read_active(zoo.state_dir)["zoo"].versions == (2,)
    assert "versions: 2" in (zoo.state_dir / "config" / "models.config").read_text()


def test_weights_of_zero_and_damaged_files_read_as_nothing_and_are_written_anew(zoo):
    traffic = TrafficFile(zoo.deployment, "zoo")
    traffic.write(TrafficSplit({"stable": 100.0, "canary": 0.0}))
    assert traffic.read() == TrafficSplit({"stable": 100.0})
    traffic.write(TrafficSplit({"stable": 100.0}, {"canary": 10.0}))
    assert traffic.read() == TrafficSplit({"stable": 100.0}, {"canary": 10.0})

    for text in ("nonsense", '{"generation": "x"}', "", '{"generation": 1, "models": {"zoo": {"stable": 3}}}'):
        traffic.path.write_text(text)
        assert traffic.read() is None
        traffic.write(TrafficSplit({"stable": 60.0, "canary": 40.0}))
        assert traffic.read() == TrafficSplit({"stable": 60.0, "canary": 40.0})
        assert traffic.path.with_suffix(".damaged").read_text() == text
    traffic.path.unlink()
    assert traffic.read() is None
