# SPDX-License-Identifier: Apache-2.0
"""The gRPC server with arguments from --grpc_channel_arguments."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import numpy as np
import pytest

from tfs_deploy.client import Client
from tfs_deploy.errors import ResourceExhaustedError
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.grpc.server import GrpcServer
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.testing import function_model, serve_models


@contextlib.contextmanager
def serving(argument: str, value: int) -> Iterator[int]:
    """Serve a model that returns its input, with one channel argument; yield the port."""
    model = function_model(lambda x: {"y": x}, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"m": model}, rest=False) as served:
        server = GrpcServer(DataPlane(served.core, ServerMetrics()), threads=1, options=[(argument, value)])
        port = server.listen("127.0.0.1:0")
        server.start()
        yield port
        server.stop(0)


def test_given_arguments_replace_the_servers_own() -> None:
    with serving("grpc.max_receive_message_length", 1000) as port, Client(f"127.0.0.1:{port}") as client:
        assert client.predict("m", {"x": np.ones(10, np.float32)})["y"].size == 10
        with pytest.raises(ResourceExhaustedError, match="larger than max"):
            client.predict("m", {"x": np.ones(1000, np.float32)})


def test_connections_beyond_the_limit_are_closed() -> None:
    with serving("grpc.max_allowed_incoming_connections", 1) as port, Client(f"127.0.0.1:{port}") as client:
        assert client.predict("m", {"x": np.ones(1, np.float32)})["y"].size == 1
        with socket.create_connection(("127.0.0.1", port), timeout=60) as second:
            second.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            assert second.recv(100) == b""
        assert client.predict("m", {"x": np.ones(1, np.float32)})["y"].size == 1
