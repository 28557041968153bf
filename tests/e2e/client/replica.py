# SPDX-License-Identifier: Apache-2.0
"""The embedded server for faults: a function in the place of a SavedModel, so that it is back in half a second.

Run: python replica.py PORT REST_PORT [SECONDS]       each Predict takes SECONDS; SIGTERM stops it in order
"""

from __future__ import annotations

import sys
import threading

from tfs_deploy.host.tcp_ports import bind
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.grpc.server import GrpcServer
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.process.stop_signals import stop_signals
from tfs_deploy.server.rest.handler import RestHandler
from tfs_deploy.server.rest.server import RestServer
from tfs_deploy.server.testing import function_model, serve_models

_DRAIN_SECONDS = 5.0


def main() -> None:
    port, rest_port = int(sys.argv[1]), int(sys.argv[2])
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 0.0
    never = threading.Event()

    def half_plus_two(x):
        if seconds:
            never.wait(seconds)
        return {"y": x / 2 + 2}

    model = function_model(half_plus_two, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"half_plus_two": model}, labels={"half_plus_two": {"stable": 1}}, rest=False) as served:
        # the same data plane on the ports that a test has chosen
        dataplane = DataPlane(served.core, ServerMetrics())
        server = GrpcServer(dataplane, threads=16)
        server.listen(f"127.0.0.1:{port}")
        rest = RestServer(
            RestHandler(dataplane), bind("127.0.0.1", rest_port, what="REST"), threads=16, timeout=30, cors=False
        )
        with stop_signals() as stop:
            rest.start()
            server.start()
            while not stop.wait(60):
                pass
        rest.stop(_DRAIN_SECONDS)
        server.stop(_DRAIN_SECONDS)


if __name__ == "__main__":
    main()
