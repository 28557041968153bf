"""gRPC targets."""

from __future__ import annotations

import pytest

from tfs_deploy.client import Client
from tfs_deploy.client.grpc.channel import grpc_target
from tfs_deploy.errors import (
    UsageError,
)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:8500", "localhost:8500"),
        ("models.internal", "models.internal:8500"),
        ("unix:/run/tfs.sock", "unix:/run/tfs.sock"),
        ("dns:///models:8500", "dns:///models:8500"),
        ("[::1]:8500", "[::1]:8500"),
    ],
)
def test_grpc_targets(target, expected):
    assert grpc_target(target) == expected


@pytest.mark.parametrize("target", ["http://localhost:8500", "https://host/", "", ":8500"])
def test_what_is_no_target(target):
    with pytest.raises(UsageError):
        Client(target)
