# SPDX-License-Identifier: Apache-2.0
"""The Prometheus hook, if its library is installed."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.client import Client, PrometheusHook
from tfs_deploy.errors import NotFoundError

X = {"x": np.array([2, 4], np.float32)}


def test_prometheus(grpc_address):
    library = pytest.importorskip("prometheus_client")
    registry = library.CollectorRegistry()
    with Client(grpc_address, hooks=[PrometheusHook(registry)]) as client:
        for _ in range(3):
            client.predict("half", X)
        with pytest.raises(NotFoundError):
            client.predict("nosuch", X)
    where = {"model": "half", "version_label": "", "method": "predict", "transport": "grpc"}
    value = registry.get_sample_value
    assert value("tfs_client_calls_total", {**where, "status": "OK"}) == 3
    assert value("tfs_client_calls_total", {**where, "model": "nosuch", "status": "NOT_FOUND"}) == 1
    assert value("tfs_client_attempts_total", where) == 4  # one for the metadata
    assert value("tfs_client_latency_seconds_count", where) == 3
    assert value("tfs_client_sent_bytes_total", where) > 100
