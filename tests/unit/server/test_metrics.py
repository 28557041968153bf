"""The names, labels and buckets of the metrics are those of the recorded pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfs_deploy.server.metrics import ServerMetrics

PAGES = Path(__file__).parents[2] / "conformance" / "recorded" / "metrics"
Shape = tuple[str, tuple[str, ...], tuple[str, ...]]


def shapes(page: str) -> dict[str, Shape]:
    """Metric -> its type, the names of its labels, its upper bounds; only those with samples."""
    found: dict[str, Shape] = {}
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    for name, braces in re.findall(r"^(:[^\s{]+)\{(.*)\} \S+$", page, re.MULTILINE):
        base = re.sub(r"_(bucket|sum|count)$", "", name) if name not in kinds else name
        labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', braces)
        bounds = tuple(value for label, value in labels if label == "le")
        kind, names, before = found.get(base, (kinds[base], (), ()))
        if name.endswith("_bucket"):
            names = tuple(label for label, _ in labels if label != "le")
        elif kind == "counter":
            names = tuple(label for label, _ in labels)
        found[base] = kind, names, before if set(bounds) <= set(before) else before + bounds
    return found


def ours() -> dict[str, Shape]:
    metrics = ServerMetrics()
    for metric in metrics._all():
        labels = ["x"] * len(metric._labels)
        if metric.kind == "counter":
            metric.add(*labels)
        else:
            metric.add(1.0, *labels)  # type: ignore[arg-type]
    return shapes(metrics.page().decode())


@pytest.mark.parametrize("page", ["metrics_page_after_grpc_cases.txt", "metrics_page_with_batching.txt"])
def test_recorded_metrics(page: str) -> None:
    recorded = shapes((PAGES / page).read_text())
    found = ours()
    common = recorded.keys() & found.keys()
    assert common >= {
        ":tensorflow:cc:saved_model:load_attempt_count",
        ":tensorflow:core:direct_session_runs",
        ":tensorflow:core:graph_run_time_usecs",
        ":tensorflow:core:graph_runs",
        ":tensorflow:serving:request_latency",
    }
    assert {name: found[name] for name in common} == {name: recorded[name] for name in common}
    assert not {name for name in recorded if name.startswith(":tensorflow:serving:")} - found.keys()
