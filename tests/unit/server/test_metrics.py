# SPDX-License-Identifier: Apache-2.0
"""The names, labels and buckets of the metrics are those of the recorded pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tfs_deploy.errors import Code
from tfs_deploy.server.metrics import OTHER_MODELS, ServerMetrics

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


def test_names_of_refused_requests_are_bounded_in_number_and_length() -> None:
    metrics = ServerMetrics()
    metrics.succeeded("served", "predict", "REST", 1.0)
    for number in range(3000):
        metrics.failed(f"nosuch{number}", Code.NOT_FOUND)
    metrics.failed("n" * 100_000, Code.NOT_FOUND)
    metrics.failed("served", Code.INVALID_ARGUMENT)
    page = metrics.page().decode()
    assert len(page) < 200_000
    assert f'model_name="{OTHER_MODELS}",status="NOT_FOUND"}} 2001' in page
    assert 'model_name="served",status="INVALID_ARGUMENT"} 1' in page


@pytest.mark.parametrize("name", ["\udc80", 'a"b\\c\nd', "\x1b[31m", ""])
def test_any_name_leaves_the_page_readable(name: str) -> None:
    metrics = ServerMetrics()
    metrics.failed(name, Code.NOT_FOUND)
    sample = next(line for line in metrics.page().decode().splitlines() if "request_count{" in line)
    assert re.fullmatch(
        r':tensorflow:serving:request_count\{model_name="(?:[^"\\]|\\.)*",status="NOT_FOUND"\} 1', sample
    )
