"""The ready-made hooks: Prometheus metrics and OpenTelemetry spans (each where its library is installed)."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tfs_deploy.client import Client, PrometheusHook, TracingHook
from tfs_deploy.errors import MissingExtraError, NotFoundError

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


@pytest.mark.parametrize(
    ("hook", "module", "extra"),
    [(PrometheusHook, "prometheus_client", "prometheus"), (TracingHook, "opentelemetry.trace", "otel")],
)
def test_without_the_library_the_extra_is_named(hook, module, extra, monkeypatch):
    for part in (module, module.partition(".")[0]):
        monkeypatch.setitem(sys.modules, part, None)
    with pytest.raises(MissingExtraError) as caught:
        hook()
    assert f"tfs-deploy[{extra}]" in caught.value.hint
