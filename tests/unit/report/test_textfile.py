# SPDX-License-Identifier: Apache-2.0
"""The metrics of a smoke test, read back by Prometheus's own parser."""

from __future__ import annotations

import pytest

from tfs_deploy.report.textfile import smoke_textfile
from tfs_deploy.smoke.results import Outcome, SmokeCheck

parser = pytest.importorskip("prometheus_client.parser")
NOW = 1_700_000_000.25
CHECKS = [
    SmokeCheck("digits", "label stable", "grpc", "answers", Outcome.OK, version=3),
    SmokeCheck("digits", "label stable", "grpc", "serving_default", Outcome.OK, version=3, seconds=0.002),
    SmokeCheck("digits", "label stable", "grpc", "serving_default #2", Outcome.OK, version=3, seconds=0.004),
    SmokeCheck("digits", "label stable", "rest", "answers", Outcome.FAILED, "nobody listens"),
    SmokeCheck('fa"ces\\', "version 7", "grpc", "answers", Outcome.OK, version=7),
    SmokeCheck('fa"ces\\', "version 7", "grpc", "serving_default", Outcome.SKIPPED, "no inputs"),
]


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Read samples as (name, model, label, version, transport, outcome) -> value; each must have its own key."""
    found: dict[tuple[str, ...], float] = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            assert sample.labels.pop("deployment") == "shop"
            names = ("model", "label", "version", "transport", "outcome")
            key = (sample.name.removeprefix("tfs_deploy_smoke_"), *(sample.labels.get(name, "") for name in names))
            assert key not in found
            found[key] = sample.value
    return found


def test_one_series_for_each_model_target_and_transport():
    found = samples(smoke_textfile("shop", CHECKS, ok=False, now=NOW))
    grpc, rest = ("digits", "stable", "", "grpc", ""), ("digits", "stable", "", "rest", "")
    faces = ('fa"ces\\', "", "7", "grpc", "")

    assert {key[1:]: value for key, value in found.items() if key[0] == "success"} == {grpc: 1, rest: 0, faces: 1}
    assert {key[1:]: value for key, value in found.items() if key[0] == "latency_seconds"} == {grpc: 0.004}
    assert {key[1:]: value for key, value in found.items() if key[0] == "version"} == {grpc: 3, faces: 7}
    assert {value for key, value in found.items() if key[0].endswith("timestamp_seconds")} == {NOW}
    assert found[("checks", *grpc[:4], "ok")] == 3
    assert found[("checks", *rest[:4], "failed")] == 1
    assert found[("checks", *faces[:4], "skipped")] == 1


@pytest.mark.parametrize("ok", [True, False])
def test_the_deployment_as_a_whole_also_where_nothing_could_be_asked(ok):
    found = samples(smoke_textfile("shop", [], ok=ok, now=NOW))

    assert found == {
        ("deployment_success", "", "", "", "", ""): int(ok),
        ("deployment_timestamp_seconds", "", "", "", "", ""): NOW,
    }
