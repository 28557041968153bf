# SPDX-License-Identifier: Apache-2.0
"""The ready-made hooks without their libraries."""

from __future__ import annotations

import sys

import pytest

from tfs_deploy.client import PrometheusHook, TracingHook
from tfs_deploy.errors import MissingExtraError


@pytest.mark.parametrize(
    ("hook", "module", "extra"),
    [(PrometheusHook, "prometheus_client", "prometheus"), (TracingHook, "opentelemetry.trace", "otel")],
)
def test_without_the_library_the_extra_is_named(hook, module, extra, monkeypatch):
    for part in (module, module.partition(".")[0]):
        monkeypatch.setitem(sys.modules, part, None)
    with pytest.raises(MissingExtraError) as caught:
        hook()
    assert f"tf-serving-deploy[{extra}]" in caught.value.hint
