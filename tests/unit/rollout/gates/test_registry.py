# SPDX-License-Identifier: Apache-2.0
"""Gates as text."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.gates.conditions import Condition
from tfs_deploy.rollout.gates.drift import DriftGate
from tfs_deploy.rollout.gates.errors import ErrorRateGate
from tfs_deploy.rollout.gates.external import CommandGate, PrometheusGate, UrlGate
from tfs_deploy.rollout.gates.latency import LatencyGate
from tfs_deploy.rollout.gates.memory import MemoryGate
from tfs_deploy.rollout.gates.metrics_page import MetricsPageGate
from tfs_deploy.rollout.gates.registry import make_gate, parse_gate
from tfs_deploy.rollout.gates.spec import GateSources

SOURCES = GateSources(min_samples=50, metrics_url="http://localhost:8501/metrics")
RATE = 'sum(rate(x{v="$version"}[$window]))'


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("errors=2%", ErrorRateGate(0.02, 50)),
        ("errors = 0.02", ErrorRateGate(0.02, 50)),
        ("p99=50ms", LatencyGate("p99", max_seconds=0.05, max_ratio=None, min_samples=50)),
        ("p50=1.5x", LatencyGate("p50", max_ratio=1.5, tolerance=0.002, min_samples=50)),
        ("memory=20%", MemoryGate(max_growth=0.2, tolerance=0)),
        ("memory=2GB", MemoryGate(max_growth=None, max_bytes=2_000_000_000)),
        ("memory=512 MiB", MemoryGate(max_growth=None, max_bytes=512 << 20)),
        ("drift=0.1", DriftGate(max_distance=0.1)),
        ("agreement=99%", DriftGate(min_agreement=0.99, name="agreement")),
        ("command=./check.sh --min 3", CommandGate("./check.sh --min 3")),
        ("command=./ctr.sh :: $.ctr >= 0.1", CommandGate("./ctr.sh", Condition("$.ctr", ">=", 0.1))),
        ("url=http://kpi/x?a=b :: $.ctr>=0.1", UrlGate("http://kpi/x?a=b", Condition("$.ctr", ">=", 0.1))),
        (f"promql=http://prom:9090 :: {RATE} < 0.01", PrometheusGate("http://prom:9090", Condition(RATE, "<", 0.01))),
    ],
)
def test_texts_and_their_gates(text, gate):
    assert make_gate(parse_gate(text), SOURCES) == gate


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("promql=up < 1", "promql=http://prom:9090 :: up < 1"),
        ("promql=http://other :: up < 1", "promql=http://other :: up < 1"),
        ("errors=1%", "errors=1%"),
    ],
)
def test_a_promql_gate_without_a_server_gets_the_default_one(text, whole):
    assert parse_gate(text, prometheus="http://prom:9090") == parse_gate(whole)


def test_the_metrics_page_is_the_servers():
    assert isinstance(make_gate(parse_gate("metrics=1%"), SOURCES), MetricsPageGate)
    with pytest.raises(UsageError, match="has no metrics page") as caught:
        make_gate(parse_gate("metrics=1%"), GateSources())
    assert "monitoring: {prometheus: true}" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("errors", "'errors' is not a valid gate", "errors=1%"),
        ("errors=", "is not a valid gate", "errors=1%"),
        ("erors=1%", "unknown gate: erors", "did you mean 'errors'?"),
        ("xyz=1", "unknown gate: xyz", "gates: errors, finite, p50"),
        ("errors=101%", "'101%' is not a valid share", "1% or 0.01"),
        ("errors=many", "'many' is not a valid share", "1% or 0.01"),
        ("p99=fast", "'fast' is not a valid time", "500ms"),
        ("p99=0x", "'0x' is not a number above 0", "p99=1.5x"),
        ("memory=lots", "is neither a share nor an amount", "20% or 2GB"),
        ("drift=nan", "'nan' is not a number above 0", "drift=0.1"),
        ("command='", "cannot be split into words", ""),
        ("command=./x :: ctr", "does not end with a comparison", "< 0.01"),
        ("command=./x :: ctr > 1", "'ctr' is not a valid JSON path", "$.data[0].ctr"),
        ("url=http://x", "is incomplete", "url=http://HOST/PATH :: $.ctr >= 0.1"),
        ("url=x :: $.ctr > 1", "is incomplete", "url=http://HOST/PATH"),
        ("promql=up < 1", "is incomplete", "promql=http://HOST/PATH :: rate("),
    ],
)
def test_what_is_no_gate(text, message, hint):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")) as caught:
        make_gate(parse_gate(text), SOURCES)
    assert hint in (caught.value.hint or "")
