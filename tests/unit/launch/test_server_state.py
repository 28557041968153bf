# SPDX-License-Identifier: Apache-2.0
"""Labels of a server against those of the file and of the traffic."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment import Deployment
from tfs_deploy.launch.server_state import endpoint_problems, label_notes, label_problems
from tfs_deploy.state.endpoint import mark_stopped, write_endpoint


@pytest.mark.parametrize(
    ("wanted", "reached", "split", "problems"),
    [
        ({"stable": 1}, {"stable": 1}, {"stable": 100.0}, []),
        ({"stable": 1}, {}, {}, ["label stable of a leads to no version instead of version 1"]),
        ({"stable": 1}, {"stable": 2}, {}, ["label stable of a leads to version 2 instead of version 1"]),
        ({}, {}, {"prod": 30.0}, ["label prod of a leads to no version; 30 % of the traffic goes there"]),
        ({}, {}, {"prod": 0.0}, []),
        ({}, {"prod": 1}, {"prod": 100.0}, []),
    ],
)
def test_a_label_that_is_counted_on_leads_where_it_should(wanted, reached, split, problems):
    assert list(label_problems("a", wanted, reached, split)) == problems


def test_a_label_that_the_file_does_not_have_is_noted():
    assert list(label_notes("a", {"stable": 1}, {"stable": 1, "vip": 2})) == [
        "label vip of a leads to version 2; the file does not have it"
    ]


def test_the_endpoint_file_leads_to_the_server(tmp_path):
    deployment = Deployment("d", tmp_path / "d.yaml", tmp_path, ())
    assert list(endpoint_problems(deployment, "a:1")) == []
    write_endpoint(tmp_path, "a:1", None)
    assert list(endpoint_problems(deployment, "a:1")) == []
    (elsewhere,) = endpoint_problems(deployment, "b:1")
    assert "endpoint.json leads to a:1, but the server answers on b:1; tfs-deploy up " in elsewhere
    mark_stopped(tmp_path)
    (stopped,) = endpoint_problems(deployment, "a:1")
    assert "is of a stopped server, but the server answers on a:1" in stopped
    (tmp_path / "endpoint.json").write_text("{")
    (damaged,) = endpoint_problems(deployment, "a:1")
    assert "is damaged" in damaged
