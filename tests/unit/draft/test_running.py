# SPDX-License-Identifier: Apache-2.0
"""What is asked of a running server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfs_deploy.draft.found import FoundModel
from tfs_deploy.draft.running import ask_server
from tfs_deploy.errors import UnavailableError, UsageError
from tfs_deploy.server.testing import function_model, serve_models


@pytest.fixture(scope="module")
def address():
    double = function_model(lambda x: {"y": x * 2}, inputs={"x": "float32"}, outputs={"y": "float32"})
    served = {"m": {1: double, 3: double}, "n": {2: double}}
    with serve_models(served, labels={"m": {"stable": 1, "canary": 3, "blue": 3}}, rest=False) as server:
        yield server.grpc_address


def test_versions_and_labels_are_those_of_the_server(address):
    base = Path("models")
    found = ask_server(address, {"m": base / "m", "n": base / "n"}, labels=["blue", "red"])
    assert found.models == (
        FoundModel("m", base / "m", (1, 3), {"stable": 1, "canary": 3, "blue": 3}),
        FoundModel("n", base / "n", (2,)),
    )
    assert (found.kind, found.source, found.port) == ("server", address, int(address.rpartition(":")[2]))


def test_a_model_that_the_server_does_not_have(address):
    with pytest.raises(UsageError, match="the server has no model 'other'"):
        ask_server(address, {"other": Path("models")})


def test_no_server(free_port):
    with pytest.raises(UnavailableError):
        ask_server(f"127.0.0.1:{free_port}", {"m": Path("models")}, timeout=0.2, retries=1)
