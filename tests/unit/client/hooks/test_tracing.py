# SPDX-License-Identifier: Apache-2.0
"""The OpenTelemetry hook, if its library is installed."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.client import Client, TracingHook
from tfs_deploy.errors import NotFoundError

X = {"x": np.array([2, 4], np.float32)}


def test_open_telemetry(grpc_address, tiny):
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sent = []

    class Listener:
        def started(self, record):
            sent.append(record.headers["traceparent"])

        def finished(self, record):
            pass

    with Client(grpc_address, hooks=[TracingHook(provider), Listener()]) as client:
        client.predict("half", X)
        with pytest.raises(NotFoundError):
            client.predict("nosuch", X)
    good, bad = exporter.get_finished_spans()
    assert good.name == "predict half"
    assert good.attributes["tfs.version"] == 1
    assert good.attributes["tfs.status"] == "OK"
    assert f"{good.context.trace_id:032x}-{good.context.span_id:016x}" in sent[0]
    assert not bad.status.is_ok
