"""Gates as text."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.gates.conditions import Condition
from tfs_deploy.rollout.gates.external import CommandGate, PrometheusGate, UrlGate
from tfs_deploy.rollout.gates.gates import ErrorRateGate, LatencyGate
from tfs_deploy.rollout.gates.measures import DriftGate, MemoryGate
from tfs_deploy.rollout.gates.metrics_page import MetricsPageGate
from tfs_deploy.rollout.gates.specs import Sources, make_gate

SOURCES = Sources(min_samples=50, metrics_url="http://localhost:8501/metrics")
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
    assert make_gate(text, SOURCES) == gate


def test_the_metrics_page_is_the_servers():
    assert isinstance(make_gate("metrics=1%", SOURCES), MetricsPageGate)
    with pytest.raises(UsageError, match="has no metrics page") as caught:
        make_gate("metrics=1%", Sources())
    assert "monitoring: {prometheus: true}" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("errors", "'errors' is no gate", "errors=1%"),
        ("errors=", "is no gate", "errors=1%"),
        ("erors=1%", "there is no gate 'erors'", "did you mean 'errors'?"),
        ("xyz=1", "there is no gate 'xyz'", "gates: errors, finite, memory"),
        ("errors=101%", "'101%' is no share", "1% or 0.01"),
        ("errors=many", "'many' is no share", "1% or 0.01"),
        ("p99=fast", "'fast' is not a time", "500ms"),
        ("p99=0x", "'0x' is not a number above 0", "p99=1.5x"),
        ("memory=lots", "is neither a share nor an amount", "20% or 2GB"),
        ("drift=nan", "'nan' is not a number above 0", "drift=0.1"),
        ("command='", "cannot be taken apart", ""),
        ("command=./x :: ctr", "does not end with a comparison", "< 0.01"),
        ("command=./x :: ctr > 1", "'ctr' is no path into JSON", "$.data[0].ctr"),
        ("url=http://x", "lacks a part", "url=http://HOST/PATH :: $.ctr >= 0.1"),
        ("url=x :: $.ctr > 1", "lacks a part", "url=http://HOST/PATH"),
        ("promql=up < 1", "lacks a part", "promql=http://HOST/PATH :: rate("),
    ],
)
def test_what_is_no_gate(text, message, hint):
    with pytest.raises(UsageError, match=message.replace("?", r"\?")) as caught:
        make_gate(text, SOURCES)
    assert hint in (caught.value.hint or "")
