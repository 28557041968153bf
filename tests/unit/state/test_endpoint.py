# SPDX-License-Identifier: Apache-2.0
"""endpoint.json: where the server of a deployment answers."""

from __future__ import annotations

import json

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.endpoint import Endpoint, mark_stopped, read_endpoint, write_endpoint


def test_an_endpoint_is_read_back_and_counts(tmp_path):
    assert read_endpoint(tmp_path) is None
    assert write_endpoint(tmp_path / "s", "a:1", "a:2") == Endpoint(1, "a:1", "a:2")
    assert write_endpoint(tmp_path / "s", "a:1", "a:2").generation == 1
    assert write_endpoint(tmp_path / "s", "b:1", None) == Endpoint(2, "b:1", None)
    assert read_endpoint(tmp_path / "s") == Endpoint(2, "b:1", None)
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["endpoint.json"]


def test_a_stopped_server_is_recorded_until_the_next_one_starts(tmp_path):
    mark_stopped(tmp_path)
    assert read_endpoint(tmp_path) is None
    write_endpoint(tmp_path, "a:1", None)
    mark_stopped(tmp_path)
    assert read_endpoint(tmp_path) == Endpoint(1, "a:1", None, stopped=True)
    assert write_endpoint(tmp_path, "a:1", None) == Endpoint(2, "a:1", None)
    (tmp_path / "endpoint.json").write_text("damaged")
    mark_stopped(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"generation": 1, "grpc": "a"}', '{"generation": "x", "rest": 1}'])
def test_a_damaged_endpoint_is_an_error_and_written_anew(tmp_path, text):
    (tmp_path / "endpoint.json").write_text(text)
    with pytest.raises(EnvironmentFault, match=r"endpoint\.json is damaged"):
        read_endpoint(tmp_path)
    assert write_endpoint(tmp_path, "a:1", None).grpc == "a:1"
    assert json.loads((tmp_path / "endpoint.json").read_text())["grpc"] == "a:1"
