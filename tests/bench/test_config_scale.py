# SPDX-License-Identifier: Apache-2.0
"""Configs of many models take time in proportion to their number."""

from __future__ import annotations

import time
from pathlib import Path

from tfs_deploy.config import check, diff, model_server_config, render
from tfs_deploy.deployment import Deployment, Model, VersionPolicy


def work(count: int) -> float:
    """Generate, render, check and diff ``count`` models; the best of three times in seconds."""
    models = tuple(
        Model(f"m{index}", Path(f"/models/m{index}"), VersionPolicy.specific([1, 2]), {"stable": 1, "canary": 2})
        for index in range(count)
    )
    deployment = Deployment("d", Path("/x/d.yaml"), Path("/x"), models)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        message = model_server_config(deployment)
        text = render(message)
        assert check(message, text=text) == []
        assert not diff(message, model_server_config(deployment))
        times.append(time.perf_counter() - start)
    return min(times)


def test_ten_times_the_models_take_about_ten_times_as_long():
    small, large = work(300), work(3000)
    assert large < 25 * small
